"""A reader sees the old content or the new."""

from __future__ import annotations

import os
import threading

import pytest

from lifecycle.durable import exclusive, sweep, write_durably
from lifecycle.errors import Conflict


def test_content_is_replaced_and_nothing_is_left_beside(tmp_path):
    path = tmp_path / "state.json"
    for content in (b"old", b"new"):
        write_durably(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["state.json"]


def test_readers_never_see_half_of_it_while_several_write(tmp_path):
    path, contents = tmp_path / "state", [bytes([letter]) * 100_000 for letter in b"abcd"]
    write_durably(path, contents[0])
    writers = [
        threading.Thread(target=lambda c=content: [write_durably(path, c) for _ in range(20)])
        for content in contents
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["state"]


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match="folder"):
        write_durably(path, b"a file cannot replace a folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_sweeping_removes_what_killed_writers_left(tmp_path):
    (tmp_path / ".writing-state.1.1").write_bytes(b"half")
    (tmp_path / "state").write_bytes(b"whole")
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_one_at_a_time_holds_a_lock_and_then_the_next_one(tmp_path, kind):
    path = tmp_path / "held"
    if kind == "a folder":
        path.mkdir()
    with exclusive(path), pytest.raises(Conflict, match="in use"), exclusive(path, "it is in use"):
        pass
    with exclusive(path):
        pass


def test_who_waits_for_a_lock_gets_it_when_it_is_free(tmp_path):
    order, waiting = [], threading.Event()

    def second() -> None:
        waiting.set()
        with exclusive(tmp_path / "held"):
            order.append("second")

    with exclusive(tmp_path / "held"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_file_has_its_permissions_before_its_content(tmp_path):
    write_durably(tmp_path / "secret", b"key", 0o400)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o400
