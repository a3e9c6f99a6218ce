"""The output folder: parts that appear whole, and one manifest that makes them count.

::

    output/
      part-00000.parquet …          predictions, one part a chunk of input
      _rejected/part-00000.parquet  rows of that chunk that did not fit: file, row, reason, column
      _manifest.json                written last; without it nothing here counts
      _plan.json, _parts.jsonl      only while unfinished: what is being done, and which parts are

Readers of Parquet folders pass over names that start with ``_``, so they see predictions only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from lifecycle.durable import exclusive, sweep, write_durably
from lifecycle.errors import Conflict, IntegrityError
from lifecycle.targets.batch.plan import MANIFEST, BatchPlan, ChunkDone, Part, parts_of

_PLAN, _DONE, _REJECTED = "_plan.json", "_parts.jsonl", "_rejected"


class Output:
    """The output folder of one plan, while its lock is held: see :func:`open_output`."""

    def __init__(self, folder: Path, plan: BatchPlan) -> None:
        self._folder = folder
        self._plan = plan

    def committed(self) -> dict[str, Any] | None:
        """The manifest, when this very plan is complete here.

        Raises:
            Conflict: the folder holds something else.
            IntegrityError: a part is not the one that was committed.
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

    def resume(self) -> dict[int, ChunkDone]:
        """Start, or go on: the chunks that are done already, each verified, by number.

        Raises:
            Conflict: the folder holds something else.
        """
        if self._read_own(_PLAN) is None:
            if any(self._folder.iterdir()):
                raise Conflict(f"output {self._folder} is not empty; give a new folder")
            self._write(_PLAN, _json_bytes(self._plan.as_dict()))
        done = [chunk for chunk in self._journal() if all(map(self._holds, chunk.parts))]
        self._write(_DONE, b"".join(map(_journal_line, done)))
        return {chunk.chunk: chunk for chunk in done}

    def write(self, number: int, rows_in: int, scorer: str, rows: pa.Table, rejected: pa.Table) -> ChunkDone:
        """Write what became of a chunk; it survives a crash from the moment that this returns."""
        name = f"part-{number:05d}.parquet"
        done = ChunkDone(
            number,
            rows_in,
            scorer,
            self._write_part(name, rows),
            self._write_part(f"{_REJECTED}/{name}", rejected),
        )
        with (self._folder / _DONE).open("ab") as journal:
            journal.write(_journal_line(done))
            journal.flush()
            os.fsync(journal.fileno())
        return done

    def commit(self, manifest: dict[str, Any]) -> None:
        """Make it count."""
        self._write(MANIFEST, _json_bytes(manifest))
        self._forget_work()

    def discard(self) -> None:
        """Remove all that an uncommitted run wrote; the folder was empty when it started."""
        for part in [*self._folder.glob("part-*.parquet"), *self._folder.glob(f"{_REJECTED}/part-*.parquet")]:
            part.unlink()
        with suppress(OSError):
            (self._folder / _REJECTED).rmdir()
        self._forget_work()

    def sweep(self) -> None:
        """Remove files that a killed run left half written."""
        for folder in (self._folder, self._folder / _REJECTED):
            sweep(folder)

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
        """Lines that were written whole; a crash may have cut the last one."""
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

    def _write_part(self, path: str, rows: pa.Table) -> Part | None:
        if not rows.num_rows:
            return None
        buffer = pa.BufferOutputStream()
        pa.parquet.write_table(rows, buffer)
        content = buffer.getvalue().to_pybytes()
        self._write(path, content)
        return Part(path, rows.num_rows, len(content), hashlib.sha256(content).hexdigest())

    def _write(self, path: str, content: bytes) -> None:
        """Let a file appear, whole and on the disk."""
        final = self._folder / path
        final.parent.mkdir(exist_ok=True)
        write_durably(final, content)

    def _forget_work(self) -> None:
        for name in (_DONE, _PLAN):
            (self._folder / name).unlink(missing_ok=True)


@contextmanager
def open_output(folder: Path, plan: BatchPlan) -> Iterator[Output]:
    """Hold the output folder for one run, against every other process. The kernel frees it if we die.

    Raises:
        Conflict: another run holds it.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(folder))
        except BlockingIOError:
            raise Conflict(
                f"another run is writing {folder} right now; wait for it or give a new folder"
            ) from None
        output = Output(folder, plan)
        output.sweep()
        try:
            yield output
        finally:
            output.sweep()
            if made:
                with suppress(OSError):
                    folder.rmdir()  # only when nothing came of it


def _journal_line(chunk: ChunkDone) -> bytes:
    return json.dumps(asdict(chunk), sort_keys=True).encode() + b"\n"


def _json_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
