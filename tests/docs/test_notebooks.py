"""The notebooks run from top to bottom on a laptop with nothing set up, and read well without being run."""

from __future__ import annotations

import html
import os
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.notebooks import FOLDER, ROOT, executed, files

LARGEST_BYTES = 300_000
DEADLINE_S = 30.0

# What a reader has to see, in this order.
STORIES = {
    "01_first_promotion.ipynb": [
        "refused with 403",
        "lifecycle gate run models:/flights-delay/1 --stage production",
        "Version 1 of flights-delay is now in staging",
        "Version 1 of flights-delay is now in production",
        "READY",
        "answered by version 1",
        "data_quality.expectations_not_met",
        "drift.share_exceeded",
        "refused: Version 2 of flights-delay",
        "still answered by version 1",
        "Version 2 of flights-delay is now in production in place of version 1",
        "answered by version 2",
        "Version 1 of flights-delay is now in production in place of version 2",
        "answered by version 1",
        "ROLLED_BACK",
        "nothing is left",
    ],
}


def read(name: str):
    """The cells of a notebook."""
    return nbformat.read(FOLDER / name, as_version=4).cells


def outputs_of(cells):
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def shown(cells) -> str:
    """The text of all outputs, as a reader sees it."""
    data = [output.get("data", {}) for output in outputs_of(cells)]
    texts = [output.get("text", "") for output in outputs_of(cells)]
    return html.unescape(
        "\n".join(d.get("text/html") or d.get("text/plain") or text for d, text in zip(data, texts, strict=True))
    )


def assert_tells(cells, story: list[str]) -> None:
    text, position = shown(cells), 0
    for sentence in story:
        found = text.find(sentence, position)
        assert found >= 0, f"{sentence!r} is not shown, or not after what should come before it"
        position = found + len(sentence)


def left_running(folder: Path) -> list[str]:
    """Processes whose command line or environment speaks of the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(f"{process.pid} {' '.join(process.cmdline()[:8])}")
    return found


def test_every_notebook_has_its_story_here():
    assert {path.name for path in FOLDER.iterdir() if path.suffix == ".ipynb"} == set(STORIES)


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("name", STORIES)
def test_a_notebook_runs_and_leaves_nothing_behind(name, tmp_path_factory):
    ran = executed(tmp_path_factory, name)

    assert_tells(ran.cells, STORIES[name])
    assert files(ran.clone) == ran.before
    assert list((ran.folder / "tmpdir").glob("first-promotion-*")) == []
    deadline = time.monotonic() + DEADLINE_S
    while (running := left_running(ran.folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running == []


@pytest.mark.parametrize("name", STORIES)
def test_the_committed_outputs_tell_the_story(name):
    assert_tells(read(name), STORIES[name])


@pytest.mark.parametrize("name", STORIES)
def test_the_committed_outputs_come_from_one_run_without_errors(name):
    cells = read(name)
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for output in outputs_of(cells) if output.output_type == "error"] == []


@pytest.mark.parametrize("name", STORIES)
def test_the_committed_file_is_small_and_says_nothing_of_the_machine(name):
    content = (FOLDER / name).read_text(encoding="utf-8")
    assert len(content.encode()) < LARGEST_BYTES
    for place in ("/tmp/", "/home/", "/root/", "/Users/", "site-packages", str(ROOT)):  # noqa: S108
        assert place not in content
