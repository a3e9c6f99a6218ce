"""A program that promotes on demand, and is struck down at a named moment if the demand says so.

A line of input is an order, a line of output the answer to it, both in JSON. An order with a ``blow`` is carried
out by a fork, because starting a Python with MLflow in it takes seconds. A process that forks has no connections
to a database of its own: its children would share them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.errors import LifecycleError
from lifecycle.registry.mlflow_registry import MlflowRegistry
from tests.databases import rows, run
from tests.faults.disks import fill
from tests.faults.wine import Wine

_LOCK = re.compile("UPDATE registered_models")


@dataclass(frozen=True)
class Point:
    """A moment of a promotion: before or after the ``nth`` statement that looks so."""

    when: str
    statement: str
    nth: int = 1


# A promotion from Staging to Production, statement by statement. What comes in between only reads.
USUAL_POINTS = ("after the lock", "after the ledger row", "just before commit", "just after commit")
"""Those of POINTS that tests go through where they are many."""

POINTS = {
    "before the lock": Point("before", "UPDATE registered_models"),
    "after the lock": Point("after", "UPDATE registered_models"),
    "after reading": Point("before", "UPDATE model_versions"),
    "after the old version left": Point("after", "UPDATE model_versions"),
    "after place": Point("after", "UPDATE model_versions", 2),
    "after the alias that goes": Point("after", "DELETE FROM registered_model_aliases"),
    "after the alias that moves": Point("after", "UPDATE registered_model_aliases"),
    "after the ledger row": Point("after", "INSERT INTO lifecycle_ledger"),
    "after the old head": Point("after", "DELETE FROM lifecycle_heads"),
    "after the head": Point("after", "INSERT INTO lifecycle_heads"),
    "after the shown tag": Point("after", "UPDATE model_version_tags"),
    "just before commit": Point("before", "COMMIT"),
    "just after commit": Point("after", "COMMIT"),
}


class StruckError(Exception):
    """What nobody has thought of."""


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Promote, and say how it went."""
    try:
        _registry(order["database"]).promote(PromotionRequest(**order["request"]))
    except LifecycleError as exc:
        return {"error": type(exc).__name__, "said": str(exc)}
    return {"error": None}


@cache
def _registry(database: str) -> MlflowRegistry:
    return Wine(Path(os.environ["LIFECYCLE_HOME"]), database).registry()


def promote_without_end(order: dict[str, Any]) -> NoReturn:
    """Versions 3 and 4 in turn, until somebody kills us."""
    registry = _registry(order["database"])
    registry.promote(PromotionRequest("wine", 3, "production"))
    _say("under way")
    while True:
        for version in (4, 3):
            registry.promote(PromotionRequest("wine", version, "production"))


def struck(order: dict[str, Any]) -> dict[str, Any]:
    """The same in a process of its own, which something happens to at the named point."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _promote_in_danger(order, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(said) if said else {"signal": -status}


def _promote_in_danger(order: dict[str, Any], writing: int) -> NoReturn:
    happened: list[str] = []
    blow = BLOWS[order["blow"]]
    strike_at(POINTS[order.get("point", "before the lock")], lambda: (happened.append("yes"), blow(order)))
    said: dict[str, Any] = {"error": "none of ours"}
    try:
        said = answer(order)
    except BaseException:
        said["said"] = traceback.format_exc()
    finally:  # whatever happens, it does not go on as another one that takes orders
        os.write(writing, json.dumps(said | {"happened": bool(happened)}).encode())
        os._exit(0)


def strike_at(point: Point, blow: Callable[[], object]) -> None:
    """Have something happen once, when the promotion of this process gets to a point."""
    from sqlalchemy import Engine, event
    from sqlalchemy.orm import Session

    seen: Counter[str] = Counter()

    def passing(when: str, statement: str) -> None:
        if statement == "COMMIT" and not seen["lock"]:
            return  # what came before it was read in transactions of their own
        seen["lock"] += bool(_LOCK.match(statement)) and when == "after"
        if when == point.when and statement.startswith(point.statement):
            seen["here"] += 1
            if seen["here"] == point.nth:
                blow()

    event.listen(Engine, "before_cursor_execute", lambda *args: passing("before", args[2]))
    event.listen(Engine, "after_cursor_execute", lambda *args: passing("after", args[2]))
    event.listen(Engine, "commit", lambda _: passing("before", "COMMIT"))
    event.listen(Session, "after_commit", lambda _: passing("after", "COMMIT"))


def _raise(order: dict[str, Any]) -> None:
    raise StruckError("out of the blue")


def _hang_up(order: dict[str, Any]) -> None:
    """The database ends every connection to it."""
    from sqlalchemy.engine import make_url

    uri = make_url(order["database"])
    if uri.get_backend_name() == "mysql":
        found = rows(
            order["database"], f"SELECT id FROM information_schema.processlist WHERE db = '{uri.database}'"
        )
        for (number,) in found:
            with suppress(Exception):  # it may have been the one that asked, and be gone
                run(order["database"], f"KILL {number}")
    else:
        run(
            uri.set(database="postgres").render_as_string(hide_password=False),
            f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{uri.database}'",
        )


def _kill_server(order: dict[str, Any]) -> None:
    """The database's server falls over, and does not come back by itself."""
    os.kill(order["server"], signal.SIGQUIT)  # PostgreSQL: leave everything as it is and go
    while True:
        try:
            os.kill(order["server"], 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _move_away(order: dict[str, Any]) -> None:
    """Somebody renames the file."""
    Path(order["file"]).rename(order["file"] + ".away")


def _fill_disk(order: dict[str, Any]) -> None:
    """No byte more fits onto the disk."""
    fill(Path(order["file"]).with_name("filler"))


BLOWS: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda _: None,
    "SIGKILL": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda _: os.kill(os.getpid(), signal.SIGTERM),
    "exception": _raise,
    "connections ended": _hang_up,
    "server killed": _kill_server,
    "file moved away": _move_away,
    "disk full": _fill_disk,
}


def main() -> None:
    """Carry out orders until there are none."""
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  forks need not import it again
    import mlflow_lifecycle.guarded_store  # noqa: F401

    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        carry_out = struck if "blow" in order else promote_without_end if "endless" in order else answer
        _say(json.dumps(carry_out(order)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
