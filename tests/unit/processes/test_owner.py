from __future__ import annotations

import threading

import pytest

from lifecycle.errors import UsageError
from lifecycle.processes.process import VARIABLE, ProcessId, owned_by_me, watch_owner


@pytest.mark.parametrize("form", ["{0.pid}", "{0.pid}:{0.started}"])
def test_the_owners_end_is_noticed_even_when_it_was_killed(owner, monkeypatch, form):
    monkeypatch.setenv(VARIABLE, form.format(ProcessId.of(owner.pid)))
    gone = threading.Event()
    watch_owner(gone.set)
    assert not gone.is_set()
    owner.kill()
    assert gone.wait(10)


def test_a_process_that_merely_has_the_owners_number_is_not_the_owner(monkeypatch):
    own = ProcessId.own()
    monkeypatch.setenv(VARIABLE, f"{own.pid}:{own.started - 60}")
    gone = threading.Event()
    watch_owner(gone.set)
    assert gone.wait(10)


def test_without_an_owner_nothing_is_watched(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    before = threading.active_count()
    watch_owner(lambda: None)
    assert threading.active_count() == before


@pytest.mark.parametrize("text", ["me", "1:2:3", "1:soon", "1.5"])
def test_an_owner_that_is_no_process_id_is_refused(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=VARIABLE):
        watch_owner(lambda: None)


def test_children_are_told_exactly_which_process_owns_them():
    own = ProcessId.own()
    assert owned_by_me() == {VARIABLE: f"{own.pid}:{own.started}"}


def test_where_the_kernel_has_no_pidfd_the_owners_end_is_noticed_all_the_same(owner, monkeypatch):
    monkeypatch.delattr("os.pidfd_open", raising=False)
    monkeypatch.setenv(VARIABLE, str(owner.pid))
    gone = threading.Event()
    watch_owner(gone.set)
    owner.kill()
    assert gone.wait(10)
