"""The plan of a run, fixed before the first row: files, their bytes, and the model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from glob import has_magic
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.domain.text import sha256_of
from lifecycle.errors import DeploymentFailed, IntegrityError, OptionError
from lifecycle.targets.contract import TargetOptions

FORMATS = (".parquet", ".csv", ".npy")


class InputChanged(DeploymentFailed):
    """An input file has changed since it was pinned, so its predictions are not valid."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file with its state.

    Attributes:
        stat: Device, inode, size, and times of change in nanoseconds, from before the bytes were hashed. Any
            write moves the last one, which no program can set back.
    """

    path: Path
    sha256: str
    stat: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.stat[2]

    @classmethod
    def pin(cls, path: Path) -> InputFile:
        """Read a file's state and hash it. Raises DeploymentFailed if it cannot be read."""
        try:
            stat = _stat(path)
            with path.open("rb") as handle:
                return cls(path, hashlib.file_digest(handle, "sha256").hexdigest(), stat)
        except OSError as exc:
            raise DeploymentFailed(f"cannot read input {path}: {exc.strerror}") from exc

    def demand_unchanged(self) -> None:
        """Raise InputChanged when the file was written to, replaced or removed since it was pinned."""
        try:
            unchanged = _stat(self.path) == self.stat
        except OSError:
            unchanged = False
        if not unchanged:
            raise InputChanged(f"input {self.path} changed during the run, so nothing was committed; run it again")

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "modified_ns": self.stat[3],
            "sha256": self.sha256,
        }


class ChunkAddress(NamedTuple):
    """Address of a chunk.

    Attributes:
        number: Number of the chunk in the whole input, from 0.
        file: Its file's position among the plan's files.
        first_row: The first row of data of a file is 1.
        rows: Number of rows, those with too many or too few cells included.
        start, stop: Of a CSV file, the bytes that the rows are. Where each row is an array's only one, ``stop`` is
            the number of these files, from ``file`` on. Else 0.
    """

    number: int
    file: int
    first_row: int
    rows: int
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One run, completely determined: the same plan gives the same bytes.

    Attributes:
        chunks: The rows of each part; known once the run has begun.
    """

    source: Path
    files: tuple[InputFile, ...]
    model: str
    version: int
    model_digest: str
    chunk_rows: int
    keep: tuple[str, ...]
    chunks: tuple[ChunkAddress, ...] = ()

    @classmethod
    def make(cls, spec: DeploymentSpec, options: BatchOptions) -> BatchPlan:
        """Find the input files and record their state.

        Raises:
            OptionError: the input is no file, folder or glob of files that can be read, or it contains the output.
            DeploymentFailed: a file cannot be read.
        """
        source = Path(options.input).expanduser().resolve()
        output = options.output_for(spec.version)
        if output.is_relative_to(source) or source.is_relative_to(output):
            raise OptionError(f"input {source} and output {output} lie within each other; give another output")
        return cls(
            source,
            tuple(map(InputFile.pin, input_files(source))),
            spec.ref.name,
            spec.version,
            spec.digest,
            options.chunk_rows,
            options.kept_columns,
        )

    @property
    def rows(self) -> int:
        """Number of rows of all chunks."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def digest(self) -> str:
        """sha256 of everything that determines the output, without the files' times."""
        files = [(str(f.path), f.bytes, f.sha256) for f in self.files]
        return sha256_of([self.model, self.version, self.model_digest, self.chunk_rows, self.keep, files])

    def demand_unchanged_input(self) -> None:
        """Raise InputChanged when a file was changed, added or removed since the input was pinned."""
        for file in self.files:
            file.demand_unchanged()
        if input_files(self.source) != [file.path for file in self.files]:
            raise InputChanged(f"files appeared in {self.source} during the run; run it again")

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "plan": self.digest,
            "model": self.model,
            "version": self.version,
            "digest": self.model_digest,
            "chunk_rows": self.chunk_rows,
            "keep": list(self.keep),
            "input": [file.as_dict() for file in self.files],
        }


def input_files(source: Path) -> list[Path]:
    """The input files by name: the file itself, those of a folder, or those that a glob such as ``x/*.npy`` means.

    Names that start with ``.`` or ``_`` are ignored, as by other readers of such folders.

    Raises:
        OptionError: no such files, or other files that would be ignored silently.
    """
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if not path.name.startswith((".", "_")))
    elif source.exists():
        files = [source]
    elif has_magic(source.name):
        found = [path for path in source.parent.glob(source.name) if path.is_file()]
        files = sorted(path for path in found if not path.name.startswith((".", "_")))
    else:
        raise OptionError(f"option 'input': no such file or folder: {source}")
    strange = [path for path in files if path.suffix not in FORMATS or not path.is_file()]
    if strange:
        raise OptionError(f"option 'input': {strange[0]} is no {' or '.join(FORMATS)} file; move or convert it")
    if not files:
        raise OptionError(f"option 'input': {source} holds no {' or '.join(FORMATS)} file")
    return files


def _stat(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


MANIFEST = "_manifest.json"
"""File name of the manifest in the output folder."""

REJECTED = "_rejected"
"""Folder of the rejected rows in the output folder."""

FORMAT = 1
"""Format of the manifest. Readers refuse an unknown number."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the output, with its path relative to the output folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """Result of one chunk of the plan."""

    chunk: int
    rows_in: int
    scorer: str
    part: Part | None
    rejected: Part | None

    @property
    def parts(self) -> list[Part]:
        """The files of the chunk."""
        return [part for part in (self.part, self.rejected) if part is not None]

    @property
    def rows_out(self) -> int:
        """Number of rows with a prediction."""
        return self.part.rows if self.part else 0

    @property
    def rows_rejected(self) -> int:
        """Number of rejected rows."""
        return self.rejected.rows if self.rejected else 0

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ChunkDone:
        """The inverse of ``asdict``."""
        parts = {key: fields[key] and Part(**fields[key]) for key in ("part", "rejected")}
        return cls(**fields | parts)


def make_manifest(plan: BatchPlan, chunks: Sequence[ChunkDone]) -> dict[str, Any]:
    """The manifest, which accounts for every row.

    Raises:
        DeploymentFailed: a row is missing or counted twice.
    """
    rows_in, rows_out, rows_rejected = (
        sum(getattr(chunk, what) for chunk in chunks) for what in ("rows_in", "rows_out", "rows_rejected")
    )
    if not plan.rows == rows_in == rows_out + rows_rejected or len(chunks) != len(plan.chunks):
        raise DeploymentFailed(
            f"rows do not add up: {rows_in} read of {plan.rows}, {rows_out} scored, {rows_rejected} rejected; "
            "nothing was committed"
        )
    ordered = sorted(chunks, key=lambda chunk: chunk.chunk)
    return plan.as_dict() | {
        "format": FORMAT,
        "scorer": ordered[0].scorer if ordered else None,
        "parts": [asdict(chunk.part) for chunk in ordered if chunk.part],
        "rejected": [asdict(chunk.rejected) for chunk in ordered if chunk.rejected],
        "rows_in": rows_in,
        "rows_out": rows_out,
        "rows_rejected": rows_rejected,
    }


def parts_of(manifest: dict[str, Any]) -> list[Part]:
    """The files that a manifest names.

    Raises:
        IntegrityError: the manifest is damaged, or has an unknown format.
    """
    try:
        if manifest["format"] == FORMAT:
            return [Part(**fields) for fields in manifest["parts"] + manifest["rejected"]]
    except (KeyError, TypeError) as exc:
        raise IntegrityError(f"{MANIFEST} is damaged; delete the output folder and run again") from exc
    raise IntegrityError(f"{MANIFEST} has format {manifest['format']!r}, and this version knows {FORMAT}")


class BatchOptions(TargetOptions):
    """Options of one batch deployment."""

    input: str = Field(min_length=1, description="Parquet, CSV or .npy file, or a folder or glob of them")
    output: str = Field(min_length=1, description="folder for the predictions; {version} in it is filled in")
    chunk_rows: int = Field(65_536, ge=1, le=1_048_576, description="rows scored at once, and at most in one part")
    keep: str = Field("", description="input columns to carry into the output, comma-separated, such as ids")

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """The column names in ``keep``. Raises OptionError if a name is empty or given twice."""
        names = tuple(name.strip() for name in self.keep.split(",")) if self.keep else ()
        if not all(names) or len(set(names)) != len(names):
            raise OptionError("option 'keep': give different column names, separated by commas")
        return names

    def output_for(self, version: int) -> Path:
        """The output folder of a version."""
        return Path(self.output.replace("{version}", str(version))).expanduser().resolve()


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Progress of a run, with the rows of an interrupted run before.

    Attributes:
        rows_total: Number of all rows.
    """

    rows_total: int
    rows_in: int = 0
    rows_rejected: int = 0


OnProgress = Callable[[BatchProgress], None]
"""Called after each chunk, from the thread that runs the batch."""
