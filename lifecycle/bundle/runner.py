"""Scores rows with an edge bundle. Needs Python 3.10 or newer, numpy and onnxruntime; nothing else.

::

    python run.py bundle.zip < rows.json
    python run.py bundle.zip --input rows.csv --output predictions.json

    from run import Runner
    Runner("bundle.zip").predict({"distance": [1400, 1416], "carrier": ["UA", None]})

Rows are JSON as MLflow writes it (``dataframe_split``, ``dataframe_records``, ``inputs``) or, from a file named
``*.csv``, CSV with a header. The bundle is checked before it is used: exactly the members that its manifest
lists, with the sizes and digests that it lists, and the predictions for its golden rows that it lists.

Exit status: 0, or 2 for rows that do not fit, or 8 for a bundle that is damaged or does not run here.

This file is copied into each bundle as it is, so it must not import anything of the package that it comes from.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # otherwise the import writes an id below the home folder
import onnxruntime

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 2
"""Format of the bundle. On a change raise it, and note here how the old one is read.

1: one output, an array, whose fields stood in ``scorer`` itself.
"""

MANIFEST, MODEL, GOLDEN, RUNNER = "manifest.json", "model.onnx", "golden.json", "run.py"
_LISTED = (GOLDEN, MODEL, RUNNER)
_LARGEST_BUNDLE = 2 << 30  # bytes; also the most that an ONNX file can have


class BundleRefused(Exception):
    """The bundle is damaged, of another format, or answers differently on this machine."""


class RowsRefused(ValueError):
    """Rows do not fit the model. The message names the column, never the value."""


class Runner:
    """A verified and loaded bundle.

    Raises:
        BundleRefused: it differs from its manifest, or its golden rows score differently here.
        OSError: the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        members = read_members(Path(path))
        options = onnxruntime.SessionOptions()
        # one thread keeps sums in one order, so that a row scores the same alone and in a batch
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self.manifest: dict[str, Any] = json.loads(members[MANIFEST])
            self._inputs: list[dict[str, Any]] = self.manifest["signature"]["inputs"]
            self.scorer: dict[str, Any] = self.manifest["scorer"]
            if "outputs" not in self.scorer:  # format 1
                self.scorer |= {"answer": "array", "outputs": [{**self.scorer, "name": ""}]}
            self._parts: list[dict[str, Any]] = self.scorer["outputs"]
            self._session = onnxruntime.InferenceSession(
                members[MODEL], options, providers=["CPUExecutionProvider"]
            )
            golden = json.loads(members[GOLDEN])
            same = self._agrees(golden["predictions"], self.predict(golden["inputs"]))
        except Exception as exc:  # onnxruntime's exceptions share no base class
            raise BundleRefused(f"the model does not run here ({type(exc).__name__})") from exc
        if not same:
            raise BundleRefused("the model answers its golden rows differently on this machine")

    def predict(self, columns: Mapping[str, Any]) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Score rows.

        Args:
            columns: Values by column name; None or NaN for missing ones. Other columns are ignored.

        Returns:
            An array, or arrays by name if the model answers with a table or several outputs.

        Raises:
            RowsRefused: a column is missing, or a value is not of its type.
        """
        feed = {column["name"] or "input": self._feed(column, columns) for column in self._inputs}
        lengths = {len(values) for values in feed.values()}
        if len(lengths) > 1:
            raise RowsRefused("the columns have different lengths")
        if matrix := self.scorer.get("matrix"):  # which bundles of the first releases lack
            feed = {matrix: np.concatenate(list(feed.values()), axis=1)}
        if lengths == {0}:  # which some of ONNX Runtime's operators refuse
            found = [np.empty((0, *part["row_shape"])) for part in self._parts]
        else:
            found = self._session.run([part["output"] for part in self._parts], feed)
        pairs = zip(self._parts, found, strict=True)
        answer = {part["name"]: values.astype(part["dtype"], copy=False) for part, values in pairs}
        return answer[""] if self.scorer["answer"] == "array" else answer

    def _agrees(self, expected: Any, got: NDArray[Any] | dict[str, NDArray[Any]]) -> bool:
        named = {"": got} if isinstance(got, np.ndarray) else got
        expected = expected if isinstance(expected, dict) else {"": expected}  # format 1
        return all(
            agree(np.array(expected[part["name"]], part["dtype"]), named[part["name"]], part["tolerance"])
            for part in self._parts
        )

    def _feed(self, column: dict[str, Any], columns: Mapping[str, Any]) -> NDArray[Any]:
        name = column["name"]
        if column["shape"] is not None:
            return _tensor(column, columns.get(name))
        if name in columns:
            values = columns[name]
        elif column["required"] or column["type"] in ("long", "integer", "boolean"):
            raise RowsRefused(f"the rows lack column {name!r}")
        else:
            values = [None] * len(next(iter(columns.values()), ()))
        return _typed(column, values, self.scorer["missing_text"]).reshape(-1, 1)


def agree(expected: NDArray[Any], got: NDArray[Any], tolerance: float) -> bool:
    """Whether all values are equal, or for floats within ``tolerance``, relative for values above 1."""
    if expected.shape != got.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(expected, got))
    close = np.abs(expected - got) <= tolerance * np.maximum(1.0, np.abs(expected))
    return bool(np.all(close | (np.isnan(expected) & np.isnan(got))))


def read_members(path: Path) -> dict[str, bytes]:
    """The members of a bundle, verified against its manifest.

    Raises:
        BundleRefused: it differs from its manifest.
    """
    if path.stat().st_size > _LARGEST_BUNDLE:
        raise BundleRefused(f"the bundle has more than {_LARGEST_BUNDLE} bytes")
    whole = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as bundle:
            members = _read_strictly(bundle)
        # a header of 30 bytes and an entry of 46 per member, both with its name, and an end of 22: no more
        if len(whole) != 22 + sum(76 + 2 * len(name) + len(member) for name, member in members.items()):
            raise BundleRefused("the bundle holds more than its members")
        manifest = json.loads(members[MANIFEST])
        if manifest["format"] not in (1, FORMAT):
            raise BundleRefused(f"the bundle has a later format than {FORMAT}; use the run.py that is in it")
        if sorted(manifest["members"]) != sorted(_LISTED):
            raise BundleRefused("the manifest lists other members than a bundle has")
        for name in _LISTED:
            content, listed = members[name], manifest["members"][name]
            if (len(content), hashlib.sha256(content).hexdigest()) != (listed["bytes"], listed["sha256"]):
                raise BundleRefused(f"member {name} is not the one that the manifest lists")
    except (zipfile.BadZipFile, ValueError, LookupError, TypeError, EOFError, RuntimeError) as exc:
        raise BundleRefused(f"the file is no intact bundle ({type(exc).__name__})") from exc
    return members


def _read_strictly(bundle: zipfile.ZipFile) -> dict[str, bytes]:
    """Read exactly the four members, each stored once, so that no path, link or bomb is possible."""
    entries = bundle.infolist()
    if [entry.filename for entry in entries] != sorted((*_LISTED, MANIFEST)):
        raise BundleRefused("the bundle has other members than a bundle has")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.is_dir():
            raise BundleRefused(f"member {entry.filename} is not stored as it is")
    return {entry.filename: bundle.read(entry) for entry in entries}


def _tensor(column: dict[str, Any], values: Any) -> NDArray[Any]:
    shape, wanted = tuple(column["shape"]), np.dtype(column["type"])
    try:
        array = np.asarray(values)
    except ValueError:
        raise RowsRefused("the input is not a rectangular array") from None
    same = array.dtype.kind in ("b" if wanted.kind == "b" else "iuf")
    fits = array.ndim == len(shape) and all(w in (-1, n) for w, n in zip(shape, array.shape, strict=True))
    with np.errstate(all="ignore"):
        typed = array.astype(wanted, copy=False) if same else array
    if not (same and fits) or (wanted.kind in "iu" and not np.array_equal(typed, array)):
        raise RowsRefused(f"the input wants {wanted} of shape {shape}")
    return typed


def _typed(column: dict[str, Any], values: Any, missing_text: str) -> NDArray[Any]:
    """Values as the model's input array; strict: nothing is rounded or guessed."""
    try:
        _demand(not isinstance(values, (str, bytes, dict)))
        cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
        cells = [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]
        return _MAKE[column["type"]](cells, missing_text)
    except (TypeError, ValueError, OverflowError):
        raise RowsRefused(f"column {column['name']!r} wants {column['type']}; a value does not fit") from None


def _text(cells: list[Any], missing_text: str) -> NDArray[Any]:
    _demand(all(cell is None or isinstance(cell, str) for cell in cells))
    return np.array([missing_text if cell is None else cell for cell in cells], dtype=object)


def _booleans(cells: list[Any], _missing_text: str) -> NDArray[Any]:
    _demand(all(isinstance(cell, bool) for cell in cells))
    return np.array(cells, dtype=np.bool_)


def _floats(width: type[np.floating[Any]], cells: list[Any], _missing_text: str) -> NDArray[Any]:
    _demand(all(cell is None or _is_number(cell) for cell in cells))
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=width)


def _integers(width: type[np.integer[Any]], cells: list[Any], _missing_text: str) -> NDArray[Any]:
    limits = np.iinfo(width)
    _demand(all(_is_number(cell) and cell == cell // 1 for cell in cells))
    _demand(all(limits.min <= cell <= limits.max for cell in cells))
    return np.array([int(cell) for cell in cells], dtype=width)


_MAKE: dict[str, Callable[[list[Any], str], NDArray[Any]]] = {
    "string": _text,
    "boolean": _booleans,
    "double": partial(_floats, np.float64),
    "float": partial(_floats, np.float32),
    "long": partial(_integers, np.int64),
    "integer": partial(_integers, np.int32),
}


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _demand(fits: bool) -> None:
    if not fits:
        raise ValueError


def read_json(text: str, inputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Rows from one of MLflow's JSON shapes, as columns.

    Args:
        inputs: The model's columns, in the order of rows without names.

    Raises:
        RowsRefused: none of these shapes, or several.
    """
    try:
        content = json.loads(text, parse_constant=lambda _name: _demand(False))
        (shape,) = (key for key in ("dataframe_split", "dataframe_records", "inputs") if key in content)
        return _SHAPES[shape](content[shape], [column["name"] for column in inputs])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RowsRefused("send JSON with dataframe_split, dataframe_records or inputs, as MLflow does") from None


def _from_split(split: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return _columns(split.get("columns", names), split["data"])


def _from_records(records: list[dict[str, Any]], _names: list[str]) -> dict[str, Any]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _from_inputs(inputs: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(inputs, dict):
        return {names[0]: inputs}
    return {name: values if isinstance(values, list) else [values] for name, values in inputs.items()}


_SHAPES: dict[str, Callable[[Any, list[str]], dict[str, Any]]] = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "inputs": _from_inputs,
}


# fmt: off
NULLS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
))
# fmt: on
"""Texts that pandas reads as missing values in CSV."""


def read_csv(text: str, inputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Rows from CSV with a header, as columns. A cell that is one of :data:`NULLS` is a missing value.

    Args:
        inputs: The model's columns, which give the types of cells.

    Raises:
        RowsRefused: ragged, or a cell is not of its column's type.
    """
    try:
        lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        header, *rows = (line for line in lines if line)
        columns = _columns(header, rows)
        readers = {column["name"]: _CELLS.get(column["type"], _number) for column in inputs}
        return {
            name: [None if cell in NULLS else reader(cell) for cell in columns[name]]
            for name, reader in readers.items()
            if name in columns
        }
    except (ValueError, KeyError, csv.Error):
        raise RowsRefused("a cell is not of its column's type, or a line is not as long as the header") from None


def _columns(names: list[str], rows: list[list[Any]]) -> dict[str, list[Any]]:
    _demand(len(set(names)) == len(names))
    _demand(all(isinstance(row, list) and len(row) == len(names) for row in rows))
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _number(cell: str) -> int | float:
    return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)


_CELLS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "boolean": lambda cell: {"true": True, "false": False}[cell.lower()],
}


def to_json(predictions: NDArray[Any] | dict[str, NDArray[Any]], *, table: bool = False) -> str:
    """Predictions in MLflow's form: of a table one object a row. NaN and infinity become null."""
    if isinstance(predictions, np.ndarray):
        return json.dumps({"predictions": _finite(predictions.tolist())}, allow_nan=False)
    shown: Any = {name: _finite(values.tolist()) for name, values in predictions.items()}
    if table:
        shown = [dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True)]
    return json.dumps({"predictions": shown}, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--input", type=Path, help="JSON or, when it is named *.csv, CSV; default: JSON on stdin")
    parser.add_argument("--output", type=Path, help="where to write the predictions; default: stdout")
    given = parser.parse_args(arguments)
    try:
        runner = Runner(given.bundle)
        rows = _read(given.input, runner.manifest["signature"]["inputs"])
        answer = to_json(runner.predict(rows), table=runner.scorer["answer"] == "table")
        if given.output is None:
            sys.stdout.write(answer + "\n")
        else:
            aside = given.output.with_name(f".{given.output.name}.{os.getpid()}")
            aside.write_text(answer + "\n", encoding="utf-8")
            aside.replace(given.output)
    except RowsRefused as exc:
        return _fail(f"rows refused: {exc}", 2)
    except BundleRefused as exc:
        return _fail(f"bundle refused: {exc}", 8)
    except (OSError, UnicodeDecodeError) as exc:
        return _fail(f"cannot read or write: {exc}", 1)
    return 0


def _read(path: Path | None, inputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    text = (sys.stdin.buffer.read() if path is None else path.read_bytes()).decode("utf-8-sig")
    return read_csv(text, inputs) if path is not None and path.suffix == ".csv" else read_json(text, inputs)


def _fail(message: str, status: int) -> int:
    sys.stderr.write(message + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
