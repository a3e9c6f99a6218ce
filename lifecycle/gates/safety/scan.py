"""Scans every file of a model by its content, independent of its name."""

from __future__ import annotations

import codecs
from contextlib import closing
from pathlib import PurePosixPath
from typing import BinaryIO

from lifecycle.gates.safety.allowed import AllowList
from lifecycle.gates.safety.archives import ZIP, BrokenArchive, UnknownPacking, decompress, is_hidden_zip, unzip
from lifecycle.gates.safety.content import CHUNK, MIB, Allowance, Bomb, Content, TooLarge
from lifecycle.gates.safety.findings import Finding
from lifecycle.gates.safety.numpy_files import NPY, BrokenArray, pickle_start
from lifecycle.gates.safety.onnx_files import FIRST_FIELD, read_onnx
from lifecycle.gates.safety.skops_types import SCHEMA, BrokenSchema, read_schema
from lifecycle.gates.safety.stack import TooMuch
from lifecycle.gates.safety.unpickling import Doings, doings_of
from lifecycle.gates.verdicts import listing

_PICKLES = tuple(
    bytes([0x80, protocol]) for protocol in range(2, 6)
)  # the first byte of all but the oldest pickles
_BOOSTERS = (b"{L", b"CBM1")  # XGBoost's UBJSON, CatBoost's own format: read by C++, and not the start of a pickle
_CODE = frozenset(
    {".py", ".pyc", ".pyd", ".pyo", ".pyw", ".pth", ".so", ".dll", ".dylib", ".egg", ".whl", ".jar", ".ipynb"}
)
_KERAS = frozenset({"config.json", "metadata.json"})
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r")
_LONGEST_SCHEMA = 64 * MIB


class Scan:
    """The scan of a model's contents.

    Attributes:
        findings: What speaks against loading it.
        names: Names in its files.
        onnx: Files that are ONNX models.
        tensors: Files with the tensors of these.
    """

    def __init__(self, allowed: AllowList, most_bytes: int, *, allow_code: bool) -> None:
        self.findings: list[Finding] = []
        self.names: set[str] = set()
        self.onnx: set[str] = set()
        self.tensors: set[str] = set()
        self.allowance = Allowance(most_bytes)
        self._allowed, self._most, self._allow_code = allowed, most_bytes, allow_code

    def judge(self, content: Content) -> None:
        """Scan a file and everything packed in it."""
        if PurePosixPath(content.name).suffix.lower() in _CODE and not self._allow_code:
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
        self.findings.append(Finding(what, content.name, why))

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
            self._judge_array(content)
        elif not (head.startswith(_BOOSTERS) or _is_text(content.file) or self._judge_onnx(content, head)):
            self._find("unknown_format", content, "is of a kind that is not known to be safe")

    def _judge_pickle(self, content: Content, head: bytes) -> bool:
        """Whether it is a pickle, or acts when read as one. The oldest pickles have no marker."""
        content.file.seek(0)
        doings = doings_of(content.file, content.size)
        whole = not doings.broken and (doings.length == content.size or bool(doings.names))
        if head.startswith(_PICKLES) or doings.acts or whole:
            self._judge_doings(content, doings, content.size)
            return True
        return False

    def _judge_doings(self, content: Content, doings: Doings, size: int) -> None:
        self.names |= doings.names
        strange = sorted(name for name in doings.names if not self._allowed.may_name(name))
        if strange:
            self._find("not_allowed", content, f"imports what is not on the list: {listing(strange)}")
        named = sorted(name for name in doings.calls.difference(strange) if not self._allowed.may_call(name))
        if named:
            self._find("not_allowed", content, f"calls what may only be named: {listing(named)}")
        for phrase in sorted(doings.oddities):
            self._find("not_allowed", content, phrase)
        if doings.broken:
            self._find("broken", content, f"is a pickle that breaks off: {doings.broken}")
        elif doings.length < size:
            self._find("hidden_content", content, "goes on after the end of its pickle")

    def _judge_array(self, content: Content) -> None:
        start = pickle_start(content)
        if start is not None:
            content.file.seek(start)
            self._judge_doings(content, doings_of(content.file, content.size - start), content.size - start)

    def _judge_zip(self, content: Content) -> None:
        entries: set[str] = set()
        raw: set[str] = set()
        for inner in unzip(content, self.allowance):
            name = inner.name.removeprefix(f"{content.name}!")
            entries.add(name)
            with closing(inner.file):
                if name == SCHEMA:
                    raw |= self._judge_schema(content, inner)
                self.judge(inner)
        raw = {f"{content.name}!{name}" for name in raw}
        self.findings[:] = [f for f in self.findings if not (f.what == "unknown_format" and f.file in raw)]
        if not entries:
            self._find("unknown_format", content, "is a zip file with nothing in it")
        if entries >= _KERAS:
            self._find("unknown_format", content, "is a Keras model, whose layers may hold code")

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


def _is_text(file: BinaryIO) -> bool:
    """Whether it is UTF-8 without control characters, such as JSON, YAML and LightGBM's models."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(CHUNK):
            if len(chunk.translate(None, _CONTROLS)) < len(chunk):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
