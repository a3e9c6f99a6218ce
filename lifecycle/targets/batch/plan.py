"""What a run is going to do, pinned before the first row: which files, which bytes, which model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.domain.canonical import sha256_of
from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.errors import DeploymentFailed, OptionError
from lifecycle.targets.batch.options import BatchOptions

FORMATS = (".parquet", ".csv")


class InputChanged(DeploymentFailed):
    """An input file is not the one that was pinned; nothing that was made of it counts."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One pinned file.

    Attributes:
        stat: Device, inode, size, and times of change in nanoseconds, from before the bytes were hashed. Any
            write moves the last one, which no program can set back.
    """

    path: Path
    sha256: str
    stat: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size."""
        return self.stat[2]

    @classmethod
    def pin(cls, path: Path) -> InputFile:
        """Hash a file.

        Raises:
            DeploymentFailed: it cannot be read.
        """
        try:
            stat = _stat(path)
            with path.open("rb") as handle:
                return cls(path, hashlib.file_digest(handle, "sha256").hexdigest(), stat)
        except OSError as exc:
            raise DeploymentFailed(f"cannot read input {path}: {exc.strerror}") from exc

    def demand_unchanged(self) -> None:
        """Raises InputChanged when the file was written to, replaced or removed since it was pinned."""
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


@dataclass(frozen=True, slots=True)
class Plan:
    """One run, fully determined: the same plan gives the same parts, byte for byte."""

    source: Path
    files: tuple[InputFile, ...]
    model: str
    version: int
    model_digest: str
    chunk_rows: int
    keep: tuple[str, ...]

    @classmethod
    def make(cls, spec: DeploymentSpec, options: BatchOptions) -> Plan:
        """Find and pin the input.

        Raises:
            OptionError: the input is no Parquet or CSV file and no folder of them, or it holds the output.
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
    def digest(self) -> str:
        """sha256 of everything that decides about the output. Not the files' times: a touched file is the same."""
        files = [(str(f.path), f.bytes, f.sha256) for f in self.files]
        return sha256_of([self.model, self.version, self.model_digest, self.chunk_rows, self.keep, files])

    def demand_unchanged_input(self) -> None:
        """Raises InputChanged when a file changed, appeared or went since the input was pinned."""
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
    """The file itself, or the Parquet and CSV files of a folder, by name.

    Names that start with ``.`` or ``_`` are left out, as every reader of such folders does.

    Raises:
        OptionError: nothing there, or something there that would be left out silently.
    """
    if source.is_dir():
        files = sorted(_visible(source))
    elif source.exists():
        files = [source]
    else:
        raise OptionError(f"option 'input': no such file or folder: {source}")
    strange = [path for path in files if path.suffix not in FORMATS or not path.is_file()]
    if strange:
        raise OptionError(f"option 'input': {strange[0]} is no {' or '.join(FORMATS)} file; move or convert it")
    if not files:
        raise OptionError(f"option 'input': {source} holds no {' or '.join(FORMATS)} file")
    return files


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith((".", "_")))


def _stat(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
