"""Reads PyTorch's and Keras's archives without either library: what loading them would evaluate, create and open.

- ``model.pt2`` (``torch.export``): a graph in JSON, whose operators torch looks up by name and whose sizes it
  gives to sympy, which evaluates text; tensors as bytes or in torch's own zip files.
- torch's zip files (``torch.save``): a pickle that asks for its tensors by persistent ids, which torch reads as
  bytes beside it.
- ``model.keras``: layers in JSON, whose classes Keras imports by name; weights in HDF5, which may refer to other
  files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from lifecycle.gates.safety.archives import MIB

LONGEST_TEXT = 256 * MIB
"""Most bytes of a graph or a configuration."""
HDF5 = b"\x89HDF\r\n\x1a\n"
MODULE_FILES = {
    "keras_module.txt": frozenset({"keras", "tensorflow.keras"}),
    "pickle_module_info.txt": frozenset({"mlflow.pytorch.pickle_module", "pickle"}),
}
"""Files that name a module, which MLflow imports, and the names that may stand there."""

_RAW = re.compile(r"[^/]+/(data/(weights/weight|constants/tensor)_\d+|data/\d+)")
_TORCH_SMALL = re.compile(r"[^/]+/\.?(data/)?[a-z_]+")
_GRAPH = re.compile(r"[^/]+/models/[^/]+\.json")
_TARGET = re.compile(r"torch\.ops\.(aten|prims)\.\w+\.\w+|_operator\.[a-z]+|math\.[a-z0-9]+|torch\.sym_\w+")
_SYMBOL = re.compile(r"'[a-z]{1,4}\d+'")
_WORD = re.compile(r"[^\W\d]\w*")
_WORDS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Mod|Max|Min|Abs|FloorDiv|CleanDiv|CeilDiv|ModularIndexing|PythonMod"
    "|Where|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|LessThan|GreaterThan|StrictLessThan|StrictGreaterThan|And|Or|Not"
    "|true|false|True|False|positive|negative|nonnegative|integer|real|evaluate|precision"
)
_SIZE = re.compile(r"[a-z]{1,4}\d+")
_SIGNS = re.compile(r"[\s\d()+\-*/,=.<>%]*")

_KERAS_MODULE = re.compile(r"keras(\.\w+)*", re.ASCII)
_KERAS_VALUES = frozenset(
    {"__tensor__", "__keras_tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__"}
)
_RUNS_CODE = frozenset({"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "__lambda__"})


def is_torch_archive(entries: Collection[str]) -> bool:
    """Whether a zip file with these entries is torch's: an exported program, or what ``torch.save`` wrote."""
    return any(name.endswith(("/archive_format", "/data.pkl")) for name in entries)


def is_raw(name: str) -> bool:
    """Whether an entry of torch's zip files is a tensor's bytes, or a word about the archive."""
    return bool(_RAW.fullmatch(name) or _TORCH_SMALL.fullmatch(name))


def is_graph(name: str) -> bool:
    """Whether an entry of torch's zip files is the graph of a program."""
    return bool(_GRAPH.fullmatch(name))


def strange_in_graph(text: bytes) -> Iterator[str]:
    """Phrases for what a program's graph, or a list of its tensors, would have torch evaluate or unpickle."""
    for key, value in _pairs(_parsed(text)):
        if key in ("target", "as_operator") and not (isinstance(value, str) and _TARGET.fullmatch(value)):
            yield "calls an operator that is not one of torch's own"
        elif key == "expr_str" and not (isinstance(value, str) and _is_size(value)):
            yield "has a size that is no plain formula"
        elif key == "guards_code" and value:
            yield "checks its input by code of its own"
        elif key == "use_pickle" and value is not False:
            yield "keeps a tensor as a pickle"


def _is_size(text: str) -> bool:
    """Whether sympy finds nothing in it but symbols, numbers and its own functions."""
    plain = _SYMBOL.sub("", text)
    words = _WORD.findall(plain)
    return all(_WORDS.fullmatch(word) or _SIZE.fullmatch(word) for word in words) and bool(
        _SIGNS.fullmatch(_WORD.sub("", plain))
    )


def strange_in_keras(text: bytes) -> Iterator[str]:
    """Phrases for layers and functions of a Keras model that are not Keras's own, or hold code."""
    for value in _dicts(_parsed(text)):
        if "class_name" not in value:
            continue
        name, module = value["class_name"], value.get("module")
        if name in _RUNS_CODE:
            yield f"holds a {name}, which runs code"
        elif name not in _KERAS_VALUES and not (isinstance(module, str) and _KERAS_MODULE.fullmatch(module)):
            yield f"creates {module}.{name}, which is not Keras's own"


def strange_in_hdf5(file: BinaryIO) -> str | None:
    """What in an HDF5 file leads to another file; empty if nothing does, None where that cannot be found out."""
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        with h5py.File(file, "r") as opened:
            return next(_outward(opened, h5py), "")
    except Exception:  # h5py raises what it likes about a broken file
        return None


def _outward(group: Any, h5py: Any) -> Iterator[str]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield "has a link in its weights"
            return
        inner = group[name]
        if isinstance(inner, h5py.Group):
            yield from _outward(inner, h5py)
        elif inner.is_virtual or inner.external:
            yield "keeps weights in another file"


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"target": None, "class_name": "something that is no JSON"}


def _dicts(root: Any) -> Iterator[dict[str, Any]]:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _pairs(root: Any) -> Iterator[tuple[str, Any]]:
    for value in _dicts(root):
        yield from value.items()
