"""Tell the story: prepare the months, run the steps, show progress, close with a table, leave nothing behind."""

from __future__ import annotations

import importlib
import json
import logging
import os
import runpy
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.cli.demo.scene import Scene, WentWrong, find_project
from lifecycle.cli.demo.steps import STEPS, Step
from lifecycle.errors import LifecycleError
from lifecycle.processes.process import watch_owner

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


def write_months(project: Path, folder: Path) -> None:
    """Write ``july``, ``august``, ``broken`` and ``shifted`` as Parquet files."""
    flights: Callable[[range], pd.DataFrame] = runpy.run_path(str(project / "flights.py"))["flights"]
    folder.mkdir(parents=True, exist_ok=True)
    july, august = flights(range(7, 8)), flights(range(8, 9))
    for name, rows in {
        "july": july,
        "august": august,
        "broken": _broken(august),
        "shifted": _shifted(august),
    }.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)


def _broken(rows: pd.DataFrame) -> pd.DataFrame:
    """A feed that lost a third of its departure delays and sends metres where it sent miles."""
    rows = rows.copy()
    rows.loc[rows.index % 3 == 0, "dep_delay"] = float("nan")
    rows["distance"] *= 1609.344
    return rows


def _shifted(rows: pd.DataFrame) -> pd.DataFrame:
    """Evening long-haul flights from one airport only: every value is valid, the mix is another."""
    return rows[(rows["origin"] == "JFK") & (rows["distance"] > 1000) & (rows["hour"] >= 15)]


_LOG = logging.getLogger(__name__)
_OF_THE_GATES = ("onnxruntime", "great_expectations", "evidently", "skl2onnx")
"""Libraries that the gates of the story need: imported once for all runs, while the first version is trained."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the closing table."""

    step: int
    title: str
    expected: str
    happened: str
    where: str
    as_expected: bool
    seconds: float


def tell(keep: bool, json_file: Path | None) -> bool:
    """Run the story; returns whether every step went as expected.

    Args:
        keep: Leave the servers up until Ctrl-C.
        json_file: Where to write the closing table for machines.

    Raises:
        UsageError: not in a clone of the repository.
    """
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False)
    project = find_project(Path.cwd())
    started = time.monotonic()
    with _stopped_by_signals(), _home() as home:
        with _running(Scene(home, project), console) as scene:
            rows = list(_act(scene, console))
            _show(rows, time.monotonic() - started)
            if json_file:
                json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2), encoding="utf-8")
            if keep:
                _wait_for_interrupt(scene, console)
            else:
                console.print("Everything is stopped again; lifecycle demo --keep leaves it up to look around.")
        well = len(rows) == len(STEPS) and all(row.as_expected for row in rows)
        if well:  # otherwise its logs are where to look
            shutil.rmtree(home, ignore_errors=True)
    return well


@contextmanager
def _home() -> Iterator[Path]:
    """A folder for everything that the story and the libraries below it write; gone when interrupted."""
    home = Path(tempfile.mkdtemp(prefix="lifecycle-demo-"))
    temporary = home / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    try:
        yield home
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _act(scene: Scene, console: Console) -> Iterator[Row]:
    """Run the steps until one goes wrong; the later ones stand on the earlier ones."""
    for number, step in enumerate(STEPS, 1):
        begun = time.monotonic()
        with console.status(f"[{number}/{len(STEPS)}] {step.title} …"):
            happened, where, well = _outcome(scene, step)
        row = Row(number, step.title, step.expected, happened, where, well, round(time.monotonic() - begun, 1))
        console.print(f"{'✔' if well else '✘'} {number:2}  {step.title}  ({row.seconds:.0f} s)", markup=False)
        yield row
        if not well:
            return


def _outcome(scene: Scene, step: Step) -> tuple[str, str, bool]:
    try:
        happened, where = step.act(scene)
    except (WentWrong, LifecycleError) as exc:
        return str(exc), str(scene.home), False
    except Exception as exc:
        _LOG.debug("step broke", exc_info=True)
        return f"{type(exc).__name__}: {exc}", str(scene.home), False
    return happened, where, True


def _show(rows: list[Row], seconds: float) -> None:
    from lifecycle.cli.output import console, print_table

    print_table(
        ["#", "Step", "Expected", "Happened", "Where to look"],
        [(r.step, r.title, r.expected, ("✔ " if r.as_expected else "✘ ") + r.happened, r.where) for r in rows],
    )
    well = sum(row.as_expected for row in rows)
    console().print(f"{well} of {len(STEPS)} steps went as expected, in {seconds:.0f} s.", markup=False)


@contextmanager
def _running(scene: Scene, console: Console) -> Iterator[Scene]:
    """The guarded server and what the story needs besides; all of it stopped at the end."""
    from lifecycle.gates.gate_process import start_early
    from lifecycle.stack import start_server

    os.environ.update(scene.environment())
    warnings.filterwarnings("ignore")  # only the story's own lines are shown
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        status = console.status("Starting the guarded MLflow server, writing months of flights …")
        with status, ThreadPoolExecutor(2) as pool:
            months = pool.submit(write_months, scene.project, scene.data)
            pool.submit(_import_what_the_steps_need)
            scene.url = start_server(scene.home, scene.project / "lifecycle.yaml").url
            os.environ.update(scene.environment())
            start_early(_OF_THE_GATES)  # the server has started, and the training leaves a processor free
            months.result()
        yield scene
    finally:
        scene.stop_training()
        _stop_everything(scene.home)


def _import_what_the_steps_need() -> None:
    importlib.import_module("skops.io")  # first: its time grows with the number of modules imported so far
    importlib.import_module("mlflow.cli")


def _stop_everything(home: Path) -> None:
    from lifecycle.bundle.cache import LocalModels
    from lifecycle.controller.follower import stop_follower
    from lifecycle.registry.snapshot import SnapshotStore
    from lifecycle.stack import stop_server
    from lifecycle.targets.contract import TargetContext
    from lifecycle.targets.rest import RestTarget

    stop_follower(home)
    rest = RestTarget(TargetContext(home, LocalModels(SnapshotStore(home / "snapshots"), home / "compiled")))
    for deployment in rest.list():
        rest.undeploy(deployment.name)
    stop_server(home)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM, SIGHUP and the owner's end count as Ctrl-C, so that the clean-up always runs."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup stays nohup
    heard = [signal.SIGTERM, *hangup]
    before = {number: signal.signal(number, interrupt) for number in heard}
    watch_owner(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_interrupt(scene: Scene, console: Console) -> None:
    console.print(f"\nMLflow: {scene.url}   REST: {scene.rest}   files: {scene.home}", markup=False)
    console.print("Everything stays up until you press Ctrl-C.", markup=False)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
