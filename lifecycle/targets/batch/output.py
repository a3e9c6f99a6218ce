"""The output folder: parts written atomically, and a manifest that commits them.

::

    output/
      part-00000.parquet …          predictions, one part a chunk of input
      _rejected/part-00000.parquet  rows of that chunk that did not fit: file, row, reason, column
      _manifest.json                written last; without it the output is incomplete
      _plan.json, _parts.jsonl      only while unfinished: the plan and the finished parts

Readers of Parquet folders skip names that start with ``_``, so they see only predictions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from lifecycle.durable import exclusive, sweep, write_durably
from lifecycle.errors import Conflict, IntegrityError
from lifecycle.targets.batch.plan import MANIFEST, REJECTED, BatchPlan, ChunkAddress, ChunkDone, Part, parts_of

_PLAN, _DONE = "_plan.json", "_parts.jsonl"
_PLAN_FORMAT = 2  # before, a chunk was a number in one stream of rows


class Output:
    """The output folder of one plan, with its lock held by :func:`open_output`."""

    def __init__(self, folder: Path, plan: BatchPlan) -> None:
        self._folder = folder
        self._plan = plan

    def committed(self) -> dict[str, Any] | None:
        """The manifest, if exactly this plan is complete here.

        Raises:
            Conflict: the folder holds other files.
            IntegrityError: a part has changed since it was committed.
        """
        manifest = self._read_own(MANIFEST)
        if manifest is None:
            return None
        for part in parts_of(manifest):
            if not self._holds(part):
                raise IntegrityError(
                    f"{self._folder / part.path} was changed or removed after it was committed; "
                    f"delete {self._folder} and run again"
                )
        self._forget_work()
        return manifest

    def begun(self) -> BatchPlan | None:
        """The plan of the unfinished run in the folder, with its chunks; None if the folder is empty.

        Raises:
            Conflict: the folder holds other files, or another release began the run.
        """
        content = self._read_own(_PLAN)
        if content is None:
            if any(self._folder.iterdir()):
                raise Conflict(f"output {self._folder} is not empty; give a new folder")
            return None
        if content.get("format") != _PLAN_FORMAT:
            raise Conflict(
                f"output {self._folder} holds an unfinished run that another release of mlflow-lifecycle began; "
                "finish it with that release, or give a new folder"
            )
        return replace(self._plan, chunks=tuple(ChunkAddress(*fields) for fields in content["chunks"]))

    def begin(self, plan: BatchPlan) -> None:
        """Write the plan; from then on the run can be resumed."""
        write_durably(
            self._folder / _PLAN, _json_bytes(plan.as_dict() | {"format": _PLAN_FORMAT, "chunks": plan.chunks})
        )

    def done(self) -> dict[int, ChunkDone]:
        """Finished chunks by number, each verified."""
        done = [chunk for chunk in self._journal() if all(map(self._holds, chunk.parts))]
        write_durably(self._folder / _DONE, b"".join(map(_journal_line, done)))
        return {chunk.chunk: chunk for chunk in done}

    def record(self, done: ChunkDone) -> None:
        """Record that a chunk's parts are written; durable when this returns."""
        with (self._folder / _DONE).open("ab") as journal:
            journal.write(_journal_line(done))
            journal.flush()
            os.fsync(journal.fileno())

    def commit(self, manifest: dict[str, Any]) -> None:
        """Commit the output by writing its manifest."""
        write_durably(self._folder / MANIFEST, _json_bytes(manifest))
        self._forget_work()

    def discard(self) -> None:
        """Remove everything that an uncommitted run has written."""
        for part in [*self._folder.glob("part-*.parquet"), *self._folder.glob(f"{REJECTED}/part-*.parquet")]:
            part.unlink()
        with suppress(OSError):
            (self._folder / REJECTED).rmdir()
        self._forget_work()

    def _read_own(self, name: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads((self._folder / name).read_bytes())
            same = content["plan"] == self._plan.digest
            holds = f"models:/{content['model']}/{content['version']}"
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise Conflict(f"{self._folder / name} is not ours; give a new output folder") from None
        if not same:
            raise Conflict(
                f"output {self._folder} holds {'a' if name == MANIFEST else 'an unfinished'} run of {holds} with "
                "other input, options or version; give a new folder ({version} in its name gives each version one)"
            )
        return content

    def _journal(self) -> Iterator[ChunkDone]:
        """Complete lines of the journal; a crash may have cut the last one."""
        with suppress(FileNotFoundError):
            for line in (self._folder / _DONE).read_bytes().splitlines():
                with suppress(ValueError, TypeError, KeyError):
                    yield ChunkDone.from_dict(json.loads(line))

    def _holds(self, part: Part) -> bool:
        try:
            with (self._folder / part.path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256
        except OSError:
            return False

    def _forget_work(self) -> None:
        for name in (_DONE, _PLAN):
            (self._folder / name).unlink(missing_ok=True)


def write_part(folder: Path, path: str, rows: pa.Table) -> Part | None:
    """Write a part atomically and durably below the output folder. None for zero rows."""
    if not rows.num_rows:
        return None
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(rows, buffer)
    content = buffer.getvalue().to_pybytes()
    (folder / path).parent.mkdir(exist_ok=True)
    write_durably(folder / path, content)
    return Part(path, rows.num_rows, len(content), hashlib.sha256(content).hexdigest())


@contextmanager
def open_output(folder: Path, plan: BatchPlan) -> Iterator[Output]:
    """Lock the output folder for one run. The kernel releases the lock if we die.

    Raises:
        Conflict: another run has the lock.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, f"another run is writing {folder} right now; wait for it or give a new folder"):
        sweep(folder)  # partly written files of a killed run
        sweep(folder / REJECTED)
        try:
            yield Output(folder, plan)
        finally:
            sweep(folder)
            sweep(folder / REJECTED)
            if made:
                with suppress(OSError):
                    folder.rmdir()  # only if the run failed


def _journal_line(chunk: ChunkDone) -> bytes:
    return json.dumps(asdict(chunk), sort_keys=True).encode() + b"\n"


def _json_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
