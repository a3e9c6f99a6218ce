"""A model's folder, judged as a whole: every file by its content, what MLmodel names, and the requirements."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Set
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lifecycle.domain.verdict import Figure
from lifecycle.gates.contract import listing
from lifecycle.gates.safety.archives import (
    MIB,
    ZIP,
    Allowance,
    Bomb,
    BrokenArchive,
    Content,
    TooLarge,
    UnknownPacking,
    decompress,
    entries_of,
    is_hidden_zip,
    is_text,
    unzip,
)
from lifecycle.gates.safety.formats import (
    FIRST_FIELD,
    NPY,
    SCHEMA,
    BrokenArray,
    BrokenSchema,
    pickle_start,
    read_onnx,
    read_schema,
)
from lifecycle.gates.safety.mlmodel import ENVIRONMENTS, MLMODEL, MlmodelReport, judge_environment, read_mlmodel
from lifecycle.gates.safety.networks import (
    HDF5,
    LONGEST_TEXT,
    MODULE_FILES,
    is_graph,
    is_raw,
    is_torch_archive,
    strange_in_graph,
    strange_in_hdf5,
    strange_in_keras,
)
from lifecycle.gates.safety.pickle_analysis import PERSISTENT, PickleReport, analyse_pickle
from lifecycle.gates.safety.pickle_machine import TooMuch
from lifecycle.gates.safety.rules import AllowList, SafetyIssue, SafetyOptions, allow_list

_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))  # all but the oldest pickles begin so
_BOOSTERS = (b"{L", b"CBM1")  # XGBoost's UBJSON, CatBoost's own format: read by C++, and not the start of a pickle
_CODE = frozenset(
    {".py", ".pyc", ".pyd", ".pyo", ".pyw", ".pth", ".so", ".dll", ".dylib", ".egg", ".whl", ".jar", ".ipynb"}
)
_TORCH_PICKLE = ".pth"  # also the suffix of files that Python runs at its start
_KERAS = frozenset({"config.json", "metadata.json"})
_LONGEST_SCHEMA = 64 * MIB


class Scan:
    """The scan of a model's contents.

    Attributes:
        findings: What speaks against loading it.
        names: Names in its files.
        onnx: Files that are ONNX models.
        tensors: Files with the tensors of these.
    """

    def __init__(self, allowed: AllowList, options: SafetyOptions) -> None:
        self.findings: list[SafetyIssue] = []
        self.names: set[str] = set()
        self.onnx: set[str] = set()
        self.tensors: set[str] = set()
        self._of_torch: set[str] = set()  # pickles of torch's own archives
        self._most = options.max_mib * MIB
        self.allowance = Allowance(self._most)
        self._allowed, self._options = allowed, options

    def judge(self, content: Content) -> None:
        """Scan a file and everything packed in it."""
        suffix = PurePosixPath(content.name).suffix.lower()
        is_pickle = suffix == _TORCH_PICKLE and content.head(4).startswith((*_PICKLES, ZIP))
        if suffix in _CODE and not is_pickle and not self._options.allow_code:
            self._find("code", content, "is code, which loading may run")
        if not content.size:
            return  # which runs nothing; MLmodel must not name it
        try:
            if is_hidden_zip(content):
                self._find("hidden_content", content, "is also a zip file, for those who look at its end")
            self._judge(content)
        except Bomb:
            self._find("bomb", content, "unpacks to far more than it is")
        except TooLarge:
            self._find("too_large", content, "is larger than is looked into")
        except TooMuch:
            self._find("too_large", content, "is a pickle with more objects than are looked into")
        except (BrokenArchive, BrokenArray, BrokenSchema) as exc:
            self._find("broken", content, str(exc))
        except UnknownPacking as exc:
            self._find("unknown_format", content, str(exc))

    def _find(self, what: str, content: Content, why: str) -> None:
        self.findings.append(SafetyIssue(what, content.name, why))

    def _judge(self, content: Content) -> None:
        head = content.head(8)
        if self._judge_pickle(content, head):
            return
        if head.startswith(ZIP):
            self._judge_zip(content)
        elif (inner := decompress(content, self.allowance)) is not None:
            with closing(inner.file):
                self.judge(inner)
        elif head.startswith(NPY):
            start = pickle_start(content)
            if start is not None:
                content.file.seek(start)
                size = content.size - start
                self._judge_pickle_report(content, analyse_pickle(content.file, size), size)
        elif (modules := MODULE_FILES.get(PurePosixPath(content.name).name)) is not None:
            if content.head(100).decode("utf-8", "replace").strip() not in modules:
                self._find("loader_not_allowed", content, "makes MLflow import a module that is not on the list")
        elif not (head.startswith(_BOOSTERS) or is_text(content.file) or self._judge_onnx(content, head)):
            self._find("unknown_format", content, "is of a kind that is not known to be safe")

    def _judge_pickle(self, content: Content, head: bytes) -> bool:
        """Whether it is a pickle, or acts when read as one. The oldest pickles have no marker."""
        content.file.seek(0)
        report = analyse_pickle(content.file, content.size)
        whole = not report.broken and (report.length == content.size or bool(report.names))
        if head.startswith(_PICKLES) or report.acts or whole:
            self._judge_pickle_report(content, report, content.size)
            return True
        return False

    def _judge_pickle_report(self, content: Content, report: PickleReport, size: int) -> None:
        self.names |= report.names
        strange = sorted(name for name in report.names if not self._allowed.may_name(name))
        if strange:
            why = f"imports what is not on the list: {listing(strange)}"
            if content.name in self._of_torch or content.name.endswith(_TORCH_PICKLE):
                self._find("pickled_network", content, why)
            else:
                self._find("not_allowed", content, why)
        named = sorted(name for name in report.calls.difference(strange) if not self._allowed.may_call(name))
        if named:
            self._find("not_allowed", content, f"calls what may only be named: {listing(named)}")
        # torch reads what a pickle of its own asks for as the bytes of a tensor
        asked_for = {PERSISTENT} if content.name in self._of_torch else set()
        for phrase in sorted(report.oddities - asked_for):
            self._find("not_allowed", content, phrase)
        if report.broken:
            self._find("broken", content, f"is a pickle that breaks off: {report.broken}")
        elif report.length < size:
            self._find("hidden_content", content, "goes on after the end of its pickle")

    def _judge_zip(self, content: Content) -> None:
        entries = entries_of(content)
        raw: set[str] = set()
        for inner in unzip(content, self.allowance):
            name = inner.name.removeprefix(f"{content.name}!")
            with closing(inner.file):
                if name == SCHEMA:
                    raw |= self._judge_schema(content, inner)
                if is_torch_archive(entries):
                    raw |= self._judge_torch(content, inner, name)
                if entries >= _KERAS:
                    raw |= self._judge_keras(content, inner, name)
                self.judge(inner)
        raw = {f"{content.name}!{name}" for name in raw}
        self.findings[:] = [f for f in self.findings if not (f.what == "unknown_format" and f.file in raw)]
        if not entries:
            self._find("unknown_format", content, "is a zip file with nothing in it")

    def _judge_torch(self, content: Content, inner: Content, name: str) -> set[str]:
        """Judge an entry of torch's archives by what it is there; returns it where it is plain bytes."""
        if name.endswith("/data.pkl"):
            self._of_torch.add(inner.name)
        if is_graph(name) or name.endswith("_config.json"):
            if inner.size > LONGEST_TEXT:
                raise TooLarge
            for phrase in sorted(set(strange_in_graph(inner.head(inner.size)))):
                self._find("not_allowed", content, phrase)
        return {name} if is_raw(name) else set()

    def _judge_keras(self, content: Content, inner: Content, name: str) -> set[str]:
        """Judge an entry of a Keras archive; returns it where it is weights and nothing else."""
        if name == "config.json":
            if inner.size > LONGEST_TEXT:
                raise TooLarge
            for phrase in sorted(set(strange_in_keras(inner.head(inner.size)))):
                self._find("network_code", content, phrase)
        if not inner.head(8).startswith(HDF5):
            return set()
        inner.file.seek(0)
        outward = strange_in_hdf5(inner.file)
        if outward:
            self._find("external_data", content, outward)
        return set() if outward is None else {name}

    def _judge_schema(self, content: Content, inner: Content) -> set[str]:
        """Judge a skops file by its schema; returns the entries that are plain bytes."""
        if inner.size > _LONGEST_SCHEMA:
            raise TooLarge
        schema = read_schema(inner.head(inner.size), self._allowed)
        if schema is None:
            return set()
        self.names |= schema.names
        if schema.strange:
            self._find("not_allowed", content, f"names what is not on the list: {listing(sorted(schema.strange))}")
        for phrase in sorted(schema.oddities):
            self._find("not_allowed", content, phrase)
        return schema.raw

    def _judge_onnx(self, content: Content, head: bytes) -> bool:
        if not head.startswith(FIRST_FIELD):
            return False
        if content.size > self._most:
            raise TooLarge
        model = read_onnx(content)
        if model is None:
            return False
        self.onnx.add(content.name)
        for operator in sorted(model.operators):
            self._find("custom_operator", content, f"uses the operator {operator}")
        if model.odd_keys:
            self._find("external_data", content, "has tensors in other files, with settings that no tensor has")
        folder = PurePosixPath(content.name).parent
        for location in sorted(model.locations):
            if content.depth or location in {"", ".", ".."} or set(location) & set("/\\:\0"):
                self._find("external_data", content, "has tensors in a file outside of its folder")
            else:
                self.tensors.add((folder / location).as_posix())
        return True


_LONGEST_DESCRIPTION = 2 * MIB  # MLmodel and requirement files
_MOST_FILES = 100_000


class Inspection:
    """Inspection of one model folder.

    Attributes:
        findings: Reasons against loading the model.
    """

    def __init__(self, folder: Path, options: SafetyOptions) -> None:
        self._folder, self._options, self._allowed = folder, options, allow_list(options.allow or ())
        self._scan = Scan(self._allowed, options)
        self._sizes: dict[str, int] = {}
        self.findings: list[SafetyIssue] = self._scan.findings

    def run(self) -> None:
        """Inspect all files."""
        try:
            for file in _files_below(self._folder):
                self._look_at(file)
        except OSError as exc:
            self._find("unreadable", "", f"The model's folder cannot be read: {_said(exc)}.")
        if not self._sizes:
            self._find("no_files", "", "The model has no files that could be looked at.")
            return
        if MLMODEL not in self._sizes:
            self._find("no_mlmodel", MLMODEL, "is missing")
        environments = self._named(ENVIRONMENTS)
        # a nested one is read if MLmodel names a folder instead of a file
        for file in sorted(self._named({MLMODEL})):
            report = self._judge_mlmodel(file)
            environments |= report.environments & self._sizes.keys()
        self._judge_tensor_files()
        for file in sorted(environments):
            text = self._description(file)
            if text is not None:
                self.findings += judge_environment(file, text, allow_unpinned=self._options.allow_unpinned)

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
        self.findings.append(SafetyIssue(what, file, why))

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

    def _judge_mlmodel(self, file: str) -> MlmodelReport:
        text = self._description(file)
        if text is None:
            return MlmodelReport(file)
        report = read_mlmodel(file, text, self._allowed, allow_code=self._options.allow_code)
        self.findings += report.findings
        for needed in sorted(report.needed):  # what MLflow loads exists, and what it loads as ONNX is ONNX
            below = f"{needed.rstrip('/')}/"
            if needed in self._sizes and not self._sizes[needed]:
                self._find("broken", needed, "is empty")
            elif needed not in self._sizes and not any(other.startswith(below) for other in self._sizes):
                self._find("missing_file", needed, "is named in MLmodel and is not there")
            elif needed in report.onnx and needed not in self._scan.onnx:
                # by the file's name onnx also reads text and JSON, and with them other files
                self._find("unknown_format", needed, "is loaded as ONNX and is no ONNX model in its binary form")
        return report

    def _judge_tensor_files(self) -> None:
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
