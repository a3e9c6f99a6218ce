"""Rows from files and notebooks, each with the fingerprint that the evidence is bound to."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lifecycle.domain.model_version import TrackedData
from lifecycle.errors import NotFound, UsageError
from lifecycle.gates.subject import Candidate, Dataset, Subject

_READERS: dict[str, Callable[[io.BytesIO], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
}


def read_dataset(source: str, label: str | None) -> Dataset:
    """Read a CSV or Parquet file; its fingerprint is the sha256 of exactly the bytes that were read.

    Args:
        source: Path of a ``.csv`` or ``.parquet`` file.
        label: Name of the label column; rows without it are unlabelled, which is fine.

    Raises:
        NotFound: no such file.
        UsageError: it cannot be read, is empty, or has columns that cannot be told apart.
    """
    path = Path(source)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{source}: unknown kind of file; known: {', '.join(_READERS)}")
    content = _bytes_of(path)
    try:
        frame = reader(io.BytesIO(content))
    except Exception as exc:  # each reader has its own tree of errors, and their texts quote the rows
        what = path.suffix.lower().lstrip(".")
        raise UsageError(f"{source}: not a readable {what} file ({type(exc).__name__})") from exc
    _check_columns(frame, source)
    return Dataset(frame, label, hashlib.sha256(content).hexdigest(), source)


def dataset_from_frame(frame: pd.DataFrame, label: str | None, source: str = "the given data") -> Dataset:
    """A DataFrame as it is; its fingerprint covers column names, types and values, but not the index.

    Raises:
        UsageError: it has columns that cannot be told apart.
    """
    _check_columns(frame, source)
    digest = hashlib.sha256(json.dumps([[name, str(frame[name].dtype)] for name in frame.columns]).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return Dataset(frame, label, digest.hexdigest(), source)


def subject_for(
    candidate: Candidate,
    stage: str,
    tracked: TrackedData | None,
    given: Dataset | None,
    load_champion: Callable[[], Candidate | None],
) -> Subject:
    """What the gates of one stage look at.

    Args:
        candidate: The version under judgement.
        stage: The policy's word for the stage.
        tracked: What ``lifecycle.track()`` left in the training run, or None.
        given: Current data for all gates; beats the ``current`` option of any of them.
        load_champion: Loads the version that holds the stage now.
    """
    label = tracked.label if tracked else None
    return Subject(
        candidate,
        stage,
        load_reference=lambda: _reference(tracked) if tracked else None,
        load_current=lambda source: given or (read_dataset(source, label) if source else None),
        load_suite=lambda: _read_suite(tracked.suite) if tracked else None,
        load_champion=load_champion,
    )


def _reference(tracked: TrackedData) -> Dataset:
    return replace(read_dataset(str(tracked.reference), tracked.label), source="the reference rows")


def _bytes_of(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"{path}: no such file") from exc
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    if not content:
        raise UsageError(f"{path}: the file is empty")
    return content


def _check_columns(frame: pd.DataFrame, source: str) -> None:
    if not all(isinstance(name, str) for name in frame.columns):
        raise UsageError(f"{source}: every column needs a name that is text")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise UsageError(f"{source}: column {twice[0]!r} occurs twice")


def _read_suite(path: Path) -> dict[str, Any]:
    try:
        suite = json.loads(_bytes_of(path))
    except ValueError as exc:
        raise UsageError(f"{path}: not a JSON file") from exc
    if not isinstance(suite, dict):
        raise UsageError(f"{path}: not a Great Expectations suite")
    return suite
