"""What ``-C`` options the batch target takes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lifecycle.errors import OptionError
from lifecycle.targets.options import TargetOptions


class BatchOptions(TargetOptions):
    """Options of one batch deployment."""

    input: str = Field(min_length=1, description="Parquet or CSV file, or a folder of them")
    output: str = Field(min_length=1, description="folder for the predictions; {version} in it is filled in")
    chunk_rows: int = Field(65_536, ge=1, le=1_048_576, description="rows scored at once, and at most in one part")
    keep: str = Field("", description="input columns to carry into the output, comma-separated, such as ids")

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """``keep``, split.

        Raises:
            OptionError: a name is empty or given twice.
        """
        names = tuple(name.strip() for name in self.keep.split(",")) if self.keep else ()
        if not all(names) or len(set(names)) != len(names):
            raise OptionError("option 'keep': give different column names, separated by commas")
        return names

    def output_for(self, version: int) -> Path:
        """The output folder of a version."""
        return Path(self.output.replace("{version}", str(version))).expanduser().resolve()
