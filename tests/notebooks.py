"""A notebook of ours, run from top to bottom once for all tests, as by somebody who has nothing set up."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import made_once

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
HANGS_S = 900
"""No cell takes a tenth of this on an idle machine."""
SHOWN = "current=shifted)"
"""So ends the cell that shows the report of a gate run, which is saved as well, as a reader may do."""
SAVED = "LIFECYCLE_TEST_SAVED"


@dataclass(frozen=True)
class Executed:
    """A notebook that has run.

    Attributes:
        folder: All that it had to do with: ``clone``, ``home``, ``tmpdir``.
        cells: With their outputs.
        before: The files of the clone before it ran.
    """

    folder: Path

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def cells(self) -> list[Any]:
        notebook: Any = nbformat.read(self.folder / "executed.ipynb", as_version=4)
        return list(notebook.cells)

    @property
    def before(self) -> list[str]:
        return (self.folder / "before").read_text().splitlines()

    @property
    def shown(self) -> list[Any]:
        """What the reader of :data:`SHOWN` saw there."""
        (cell,) = [cell for cell in self.cells if cell.source.endswith(SHOWN)]
        return list(cell.outputs)

    @property
    def report(self) -> Path:
        """The page that was saved of it."""
        return self.folder / "saved" / "report.html"


def executed(factory: pytest.TempPathFactory, name: str) -> Executed:
    """The notebook of this name."""
    return Executed(made_once(factory, Path(name).stem, partial(_execute, name)))


def files(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _execute(name: str, folder: Path) -> None:
    from nbclient import NotebookClient

    clone = folder / "clone"
    for part in ("notebooks", "projects"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "before").write_text("\n".join(files(clone)))
    notebook: Any = nbformat.read(FOLDER / name, as_version=4)
    saving = nbformat.v4.new_code_cell(f"import os; _.save(os.environ[{SAVED!r}]);")
    (at,) = [n for n, cell in enumerate(notebook.cells, 1) if cell.source.endswith(SHOWN)]
    notebook.cells.insert(at, saving)
    where = {"metadata": {"path": str(clone / "notebooks")}}
    client = NotebookClient(notebook, timeout=HANGS_S, resources=where)
    with ThreadPoolExecutor(1) as another:  # in the thread of a browser no other event loop can run
        another.submit(client.execute, env=_environment(folder)).result()
    nbformat.write(notebook, folder / "executed.ipynb")


def _environment(folder: Path) -> dict[str, str]:
    """Of a user without any settings, whose home and temporary folder are their own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIFECYCLE_", "MLFLOW_", "GX_", "DO_NOT"))}
    folders = {name: folder / name.lower() for name in ("HOME", "TMPDIR")}
    for place in folders.values():
        place.mkdir()
    variables = {name: str(place) for name, place in folders.items()}
    return kept | variables | {"PYTHONDONTWRITEBYTECODE": "1", SAVED: str(folder / "saved")}
