"""Inspects a model's folder: its files, what MLmodel makes MLflow load, and its requirements."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import BinaryIO

from lifecycle.domain.verdict import Figure
from lifecycle.gates.safety.allowed import AllowList
from lifecycle.gates.safety.content import MIB, Content
from lifecycle.gates.safety.findings import Finding
from lifecycle.gates.safety.mlmodel import MLMODEL, Told, read_mlmodel
from lifecycle.gates.safety.requirements import ENVIRONMENTS, judge_environment
from lifecycle.gates.safety.scan import Scan

_LONGEST_DESCRIPTION = 2 * MIB  # MLmodel and requirement files
_MOST_FILES = 100_000


class Inspection:
    """Inspection of one model folder.

    Attributes:
        findings: Reasons against loading the model.
    """

    def __init__(self, folder: Path, scan: Scan, *, allow_code: bool, allow_unpinned: bool) -> None:
        self._folder, self._scan = folder, scan
        self._allow_code, self._allow_unpinned = allow_code, allow_unpinned
        self._sizes: dict[str, int] = {}
        self.findings: list[Finding] = scan.findings

    def run(self, allowed: AllowList) -> None:
        """Inspect all files."""
        self._look_at_files()
        if not self._sizes:
            self._find("no_files", "", "The model has no files that could be looked at.")
            return
        if MLMODEL not in self._sizes:
            self._find("no_mlmodel", MLMODEL, "is missing")
        environments = self._named(ENVIRONMENTS)
        # a nested one is read if MLmodel names a folder instead of a file
        for file in sorted(self._named({MLMODEL})):
            told = self._look_at_mlmodel(file, allowed)
            environments |= told.environments & self._sizes.keys()
        self._look_at_tensors()
        for file in sorted(environments):
            text = self._description(file)
            if text is not None:
                self.findings += judge_environment(file, text, allow_unpinned=self._allow_unpinned)

    def figures(self) -> Mapping[str, Figure]:
        """Figures of the inspection."""
        return {
            "files": len(self._sizes),
            "mib": round(sum(self._sizes.values()) / MIB, 3),
            "unpacked_mib": round(self._scan.allowance.unpacked / MIB, 3),
            "names": len(self._scan.names),
        }

    def _named(self, names: Set[str]) -> set[str]:
        """Files with these names, in any folder."""
        return {file for file in self._sizes if file.rpartition("/")[2] in names}

    def _find(self, what: str, file: str, why: str) -> None:
        self.findings.append(Finding(what, file, why))

    def _look_at_files(self) -> None:
        try:
            for file in _files_below(self._folder):
                self._look_at(file)
        except OSError as exc:
            self._find("unreadable", "", f"The model's folder cannot be read: {_said(exc)}.")

    def _look_at(self, file: str) -> None:
        if len(self._sizes) >= _MOST_FILES:
            raise OSError("it holds too many files")
        try:
            with _open_plain(self._folder / file) as opened:
                size = os.fstat(opened.fileno()).st_size
                self._sizes[file] = size
                self._scan.judge(Content(file, opened, size))
        except _NotPlainError:
            self._find("link", file, "is a link, has another link to it, or is no plain file")
        except OSError as exc:
            self._find("unreadable", file, f"cannot be read: {_said(exc)}")

    def _description(self, file: str) -> bytes | None:
        """A file's text; None, with an issue, if it cannot be read."""
        if self._sizes[file] > _LONGEST_DESCRIPTION:
            self._find("too_large", file, "is larger than such a file ever is")
            return None
        try:
            with _open_plain(self._folder / file) as opened:
                return opened.read(_LONGEST_DESCRIPTION)
        except (OSError, _NotPlainError):
            self._find("unreadable", file, "cannot be read any more")
            return None

    def _look_at_mlmodel(self, file: str, allowed: AllowList) -> Told:
        text = self._description(file)
        if text is None:
            return Told(file)
        told = read_mlmodel(file, text, allowed, allow_code=self._allow_code)
        self.findings += told.findings
        self._look_at_needed(told)
        return told

    def _look_at_needed(self, told: Told) -> None:
        """Check that the files that MLflow loads exist, and that its ONNX files are ONNX."""
        for file in sorted(told.needed):
            below = f"{file.rstrip('/')}/"
            if file in self._sizes and not self._sizes[file]:
                self._find("broken", file, "is empty")
            elif file not in self._sizes and not any(other.startswith(below) for other in self._sizes):
                self._find("missing_file", file, "is named in MLmodel and is not there")
            elif file in told.onnx and file not in self._scan.onnx:
                # by the file's name onnx also reads text and JSON, and with them other files
                self._find("unknown_format", file, "is loaded as ONNX and is no ONNX model in its binary form")

    def _look_at_tensors(self) -> None:
        for file in sorted(self._scan.tensors - self._sizes.keys()):
            self._find("external_data", file, "is to hold tensors and is no plain file of the model")
        tensors = self._scan.tensors
        self.findings[:] = [f for f in self.findings if not (f.what == "unknown_format" and f.file in tensors)]


class _NotPlainError(Exception):
    """The file is a link, has several links, or is special."""


def _said(exc: OSError) -> str:
    return exc.strerror or str(exc) or type(exc).__name__


def _files_below(root: Path) -> Iterator[str]:
    """Sorted paths of everything but folders. Links to folders are not followed."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            for inner in _files_below(Path(entry.path)):
                yield f"{entry.name}/{inner}"
        else:
            yield entry.name


def _open_plain(path: Path) -> BinaryIO:
    """Open a regular file without following links or waiting on a pipe.

    Raises:
        _NotPlainError: it is not a regular file.
        OSError: it cannot be read.
    """
    _demand_plain(path.lstat())
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    try:
        _demand_plain(os.fstat(file.fileno()))
    except _NotPlainError:
        file.close()
        raise
    return file


def _demand_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise _NotPlainError
