"""A model holds plain files and nothing else."""

import os
import pickle
import socket

import pytest

from lifecycle.domain.verdict import Outcome


def to_file(path, aside):
    aside.write_bytes(pickle.dumps([1]))
    path.symlink_to(aside)


def to_folder(path, aside):
    aside.mkdir()
    (aside / "x.txt").write_text("hello")
    path.symlink_to(aside)


def to_nothing(path, aside):
    path.symlink_to(aside)


def to_a_sibling(path, aside):
    path.symlink_to("requirements.txt")


def hard(path, aside):
    aside.write_bytes(pickle.dumps([1]))
    path.hardlink_to(aside)


def pipe(path, aside):
    os.mkfifo(path)


def unix_socket(path, aside):
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{here}/{path.name}")  # the path itself may be too long for a socket
        finally:
            os.close(here)


@pytest.mark.parametrize("link", [to_file, to_folder, to_nothing, to_a_sibling, hard, pipe, unix_socket])
@pytest.mark.parametrize("name", ["model.pkl", "extra/file.txt", "MLmodel", "requirements.txt"])
def test_a_link_or_a_special_file_fails(link, name, folder, verdict_on, tmp_path):
    path = folder.path / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    link(path, tmp_path / "aside")
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.link")
    assert name in verdict.message


def test_a_file_that_cannot_be_read_is_an_error(folder, verdict_on, monkeypatch):
    real = os.open

    def refuse(path, *rest, **more):
        if str(path).endswith("model.pkl"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "safety.unreadable")
    assert "model.pkl" in verdict.message
