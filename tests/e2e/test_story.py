"""The whole story, for real: ten steps as expected, and whatever interrupts it leaves no process behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lifecycle.processes.process import VARIABLE, owned_by_me, wait_until
from tests.proof import rounds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]

ROOT = Path(__file__).parents[2]
RUNNING = "follower.json" if rounds(1, 0) else "server.json"
DEMO = [sys.executable, "-m", "lifecycle.cli", "demo"]
STEPS = 10
SEED = 20261121
LATEST_KILL_S = rounds(25, 10)
"""The server, the training and, in the whole proof, the gates are under way by then."""
ALL_GONE_WITHIN_S = 60.0
HANGS_S = 1500.0


@dataclass(frozen=True)
class Clone:
    """A folder with the training project in it, where all that the demo writes can be seen.

    Attributes:
        temporary: Where the demo's home will be; a text that only its own processes have to do with.
        started: What was started in it.
    """

    folder: Path
    temporary: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: list[str], owner: str | None = None) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        environment |= {"TMPDIR": str(self.temporary)} | ({VARIABLE: owner} if owner else {})
        with (self.temporary / "output").open("wb") as output:
            demo = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Whoever runs the tests in the background has it ignored, and a child inherits that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  one thread
            )
        self.started.append(demo)
        return demo

    @property
    def files(self) -> list[str]:
        return sorted(
            str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if "__pycache__" not in p.parts
        )

    @property
    def homes(self) -> list[Path]:
        return list(self.temporary.glob("lifecycle-demo-*"))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "projects", tmp_path / "clone" / "projects", ignore=ignored)
    (tmp_path / "temporary").mkdir()
    return Clone(tmp_path / "clone", tmp_path / "temporary")


@pytest.fixture
def nothing_left(clone: Clone, belonging: Callable[[str], list[str]]) -> Iterator[Callable[[], None]]:
    """Waits until no process belongs to the demo; also after a test that failed half-way."""

    def gone() -> bool:
        return belonging(str(clone.temporary)) == []

    def wait() -> None:
        wait_until(gone, ALL_GONE_WITHIN_S, f"nothing of {belonging(str(clone.temporary))} is left")

    yield wait
    for demo in clone.started:
        demo.kill()
        demo.wait()
    wait()


def test_ten_steps_go_as_expected_and_nothing_is_left(clone, nothing_left, tmp_path):
    before, table = clone.files, tmp_path / "story.json"
    demo = clone.start([*DEMO, "--json", str(table)], **owner())
    code = demo.wait(timeout=HANGS_S)
    rows = json.loads(table.read_text())
    assert [(row["step"], row["as_expected"]) for row in rows] == [(n + 1, True) for n in range(STEPS)], rows
    assert code == 0
    assert "requests failed: 0 of" in rows[8]["happened"]
    assert "data_quality: " in rows[7]["happened"]
    assert all(row["expected"] and row["happened"] and row["where"] for row in rows)
    nothing_left()
    assert clone.homes == []
    assert clone.files == before


@pytest.mark.parametrize(
    "number", [signal.SIGKILL] * rounds(3, 1) + [signal.SIGINT] * rounds(2, 0), ids=lambda n: n.name
)
def test_killed_at_any_moment_it_leaves_no_process(clone, nothing_left, number, request):
    moment = random.Random(f"{SEED} {request.node.name}").uniform(0, LATEST_KILL_S)
    demo = clone.start(DEMO, **owner())
    with pytest.raises(subprocess.TimeoutExpired):
        demo.wait(timeout=moment)
    demo.send_signal(number)
    demo.wait(timeout=ALL_GONE_WITHIN_S)
    nothing_left()


def test_as_make_starts_it_it_ends_with_make(clone, nothing_left):
    """While the server runs and trains; as a whole proof while REST deployments and the follower run too.

    A shell stands in for make: it starts a shell of its own for the recipe, which becomes the demo.
    """
    recipe = f"{VARIABLE}=$PPID exec {' '.join(DEMO)}"
    make = clone.start(["sh", "-c", 'sh -c "$1"; true', "make", recipe])
    wait_until(
        lambda: any((home / RUNNING).exists() for home in clone.homes),
        HANGS_S,
        f"the demo has written {RUNNING}",
    )
    make.kill()
    make.wait()
    nothing_left()


def owner() -> dict[str, str]:
    """Whatever happens to the tests, the demo does not survive them."""
    return {"owner": owned_by_me()[VARIABLE]}
