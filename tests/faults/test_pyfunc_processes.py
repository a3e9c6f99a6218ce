"""A pyfunc model may crash, hang or eat memory: nothing else goes down, and with a sibling nobody sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from time import perf_counter

import numpy as np
import psutil
import pytest

from lifecycle.errors import DeploymentFailed
from lifecycle.processes.process import SECRETS
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.serving.engines.model_process import ModelBroke
from lifecycle.serving.engines.out_of_process import open_processes
from lifecycle.serving.measures import Measures
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.settings import Settings
from lifecycle.signing.local_key import KEY_VARIABLE
from tests.faults import fragile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return SnapshotStore(tmp_path_factory.mktemp("snapshots")).put(fragile.save)


def ask(engine, *values, params=None, seconds=30.0):
    batch = {"x": np.array(values, float), "t": np.array([None] * len(values), object)}
    return asyncio.ensure_future(engine.score(batch, len(values), params, perf_counter() + seconds))


async def until(condition, what: str) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


@pytest.fixture(scope="module")
def on_engine(snapshot):
    """Run a coroutine function with an engine of two processes, once both are up."""
    settings = Settings(workers=2, request_timeout_s=3.0, model_memory_mb=1500.0)

    async def with_both_up(main):
        await until(lambda: len(engine.pids) == 2, "both are up")
        await main(engine)

    with asyncio.Runner() as runner:
        engine = runner.run(open_processes(snapshot, settings, Measures()))
        yield lambda main: runner.run(with_both_up(main))
        runner.run(until(lambda: len(engine.pids) == 2, "both are up"))
        pids = engine.pids
        engine.close()
        runner.run(until(lambda: not any(map(psutil.pid_exists, pids)), "all have ended"))


def test_requests_are_put_together_and_each_gets_its_own_answer_with_its_parameters(on_engine):
    async def main(engine):
        waiting = [ask(engine, *range(i, i + 3), params={"factor": 3.0} if i % 2 else None) for i in range(40)]
        for i, answer in enumerate(await asyncio.gather(*waiting)):
            factor = 3.0 if i % 2 else 2.0
            assert answer.tolist() == [factor * value for value in range(i, i + 3)]
        with pytest.raises(ModelBroke, match="RuntimeError"):
            await ask(engine, fragile.RAISE)

    on_engine(main)


def test_a_process_that_is_killed_under_load_loses_no_request_and_is_replaced(on_engine):
    async def main(engine):
        answered, lost = 0, engine.lost

        async def client(number):
            nonlocal answered
            for i in range(12):
                assert (await ask(engine, fragile.SLEEP, float(i))).tolist() == [2 * fragile.SLEEP, 2.0 * i]
                answered += 1

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        await until(lambda: answered > 8, "it is under load")
        os.kill(engine.pids[0], signal.SIGKILL)
        await asyncio.gather(*clients)
        assert answered == 8 * 12
        assert engine.lost == lost + 1

    on_engine(main)


@pytest.mark.parametrize("told", [fragile.DIE, fragile.EAT])
def test_a_request_that_kills_the_model_twice_is_refused_and_not_tried_a_third_time(on_engine, told):
    async def main(engine):
        lost, ours = engine.lost, psutil.Process().memory_info().rss
        with pytest.raises(Refusal) as refusal:
            await ask(engine, told)
        assert refusal.value.status == 503
        assert any(name == b"retry-after" for name, _ in refusal.value.headers)
        assert psutil.Process().memory_info().rss - ours < 2**26
        await until(lambda: engine.alive, "one has been replaced")
        assert (await ask(engine, 4.0)).tolist() == [8.0]
        assert engine.lost == lost + 2

    on_engine(main)


def test_a_model_that_hangs_is_answered_504_killed_and_replaced(on_engine):
    async def main(engine):
        lost = engine.lost
        with pytest.raises(Refusal) as refusal:
            await ask(engine, fragile.HANG, seconds=0.2)
        assert refusal.value.status == 504
        assert (await ask(engine, 4.0)).tolist() == [8.0]  # by the other
        await until(lambda: engine.lost == lost + 1, "it is killed")

    on_engine(main)


def test_a_client_that_hangs_up_or_waits_too_briefly_leaves_the_process_usable(on_engine):
    async def main(engine):
        pids = engine.pids
        late, gone = ask(engine, fragile.SLEEP, seconds=0.01), ask(engine, fragile.SLEEP)
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(Refusal) as refusal:
            await late
        assert refusal.value.status == 504
        assert (await ask(engine, 3.0)).tolist() == [6.0]
        assert engine.pids == pids

    on_engine(main)


def test_processes_end_with_their_owner_however_that_dies(snapshot, tmp_path):
    script = f"""
import asyncio
from pathlib import Path
from lifecycle.domain.model import Snapshot
from lifecycle.serving.engines.model_process import ModelBroke
from lifecycle.serving.engines.out_of_process import open_processes
from lifecycle.serving.measures import Measures
from lifecycle.serving.settings import Settings

async def main():
    snapshot = Snapshot({snapshot.digest!r}, Path({str(snapshot.path)!r}))
    engine = await open_processes(snapshot, Settings(), Measures())
    print(engine.pids[0], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    environment = os.environ | dict.fromkeys(SECRETS, "s3cr3t") | {"MLFLOW_TRACKING_URI": "http://me:s3cr3t@host"}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as owner:
        child = psutil.Process(int(owner.stdout.readline()))
        assert "s3cr3t" not in str(child.environ())
        owner.kill()
    child.wait(10)


def test_a_model_that_does_not_load_says_so(snapshot, tmp_path):
    def broken(path):
        fragile.save(path)
        (path / "fragile.py").write_text("import nothing_like_it")

    async def main():
        broken_snapshot = SnapshotStore(tmp_path).put(broken)
        with pytest.raises(DeploymentFailed, match="does not load"):
            await open_processes(broken_snapshot, Settings(), Measures())

    asyncio.run(main())


def test_what_is_kept_from_the_model_is_named_rightly():
    assert KEY_VARIABLE in SECRETS
