"""Numbers in a file: whole for a reader at any moment, and never a reason not to serve."""

from __future__ import annotations

import errno
import os

import pytest

from lifecycle.serving.observing.board import Board, boards, read_board


@pytest.fixture
def board(tmp_path):
    board = Board(tmp_path)
    yield board
    board.close()


def read(folder):
    return [read_board(path) for _, path in boards(folder)]


def test_what_is_stored_is_what_is_read(board, tmp_path):
    place = board.cells(("über", 'a"b\n'), 3)
    board.values[place + 1] += 2.5
    assert read(tmp_path) == [({("über", 'a"b\n'): (0.0, 2.5, 0.0)}, True)]
    assert board.cells(("über", 'a"b\n'), 3) == place


def test_a_full_board_loses_what_is_new_and_nothing_that_was_there(board, tmp_path, caplog):
    for number in range(10_000):
        board.values[board.cells((f"series-{number}",), 20)] += 1
    ((series, _),) = read(tmp_path)
    assert 1000 < len(series) < 10_000
    assert set(series.values()) == {(1.0, *[0.0] * 19)}
    assert "no room" in caplog.text


def test_a_file_of_another_kind_is_begun_anew(tmp_path):
    (tmp_path / "0.counts").write_bytes(b"something else" * 1000)
    assert read(tmp_path) == [({}, False)]
    board = Board(tmp_path)
    board.values[board.cells(("x",), 1)] = 1
    assert read(tmp_path) == [({("x",): (1.0,)}, True)]
    board.close()


def test_a_full_disk_costs_the_metrics_and_not_the_worker(tmp_path, monkeypatch, caplog):
    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    board = Board(tmp_path)
    board.values[board.cells(("x",), 1)] = 1
    board.close()
    assert read(tmp_path) == [({}, False)]
    assert "No space left" in caplog.text
