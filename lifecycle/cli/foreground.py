"""The server behind ``lifecycle serve``: ``python -m lifecycle.cli.foreground FOLDER``.

It prints the address and a curl line, serves until Ctrl-C, and deletes its folder. The process is the supervisor
itself, so it imports nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, LifecycleError
from lifecycle.serving.control import Observed, Phase, guests_of, read_desired, read_observed
from lifecycle.serving.supervisor import serve

_POLL_S = 0.02
_ROWS = 1
_LONGEST = 2000
"""Longest example, in characters, that is printed as a curl line."""


def main(folder: Path) -> int:
    """Serve the models of a folder until the end, delete the folder, and return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    threading.Thread(target=_announce, args=[folder], daemon=True).start()
    try:
        serve(folder)
        return _exit_code(folder)
    finally:
        if read_desired(folder).settings.capture:
            click.echo(f"The captured rows are kept in {folder}.")
        else:
            shutil.rmtree(folder.parent, ignore_errors=True)


def _announce(folder: Path) -> None:
    """Print the addresses once the server answers; stop the process if it does not come up."""
    names = [folder.name, *guests_of(folder)]
    for name in names:
        observed = _outcome(folder.parent / name)
        if observed.phase is Phase.FAILED:
            if observed.address:  # without an address the supervisor ends by itself
                os.kill(os.getpid(), signal.SIGTERM)
            return
    for name in names:
        _print_one(folder.parent / name, host=folder)
    click.echo("Press Ctrl-C to stop.")


def _outcome(folder: Path) -> Observed:
    while (observed := read_observed(folder)) is None or observed.generation < 1:
        time.sleep(_POLL_S)
    return observed


def _print_one(folder: Path, host: Path) -> None:
    desired, observed = read_desired(folder), _outcome(folder)
    url = observed.address + ("/invocations" if folder == host else f"/models/{folder.name}/invocations")
    click.echo(f"{desired.model} version {desired.version} ({observed.scorer}) answers at {url}")
    example = _example(Path(desired.snapshot))
    if example:
        options = "-k " if observed.address.startswith("https") else ""
        header = "-H 'Content-Type: application/json'"
        click.echo(f"\n  curl {options}{url} {header} -d {shlex.quote(example)}\n")


def _example(snapshot: Path) -> str:
    """The first row of the model's input example as a request body; empty for none, or for a long one."""
    try:
        content = json.loads((snapshot / "serving_input_example.json").read_text(encoding="utf-8"))
        text = json.dumps(_shortened(content), allow_nan=False)
    except (OSError, ValueError):
        return ""
    return text if len(text) <= _LONGEST else ""


def _shortened(content: Any) -> Any:
    """The first row of ``dataframe_split``, ``dataframe_records``, ``instances`` or ``inputs``."""
    if split := content.get("dataframe_split"):
        rest = {key: value for key, value in split.items() if key not in ("data", "index")}
        return {**content, "dataframe_split": {**rest, "data": split["data"][:_ROWS]}}
    return {key: value[:_ROWS] if isinstance(value, list) else value for key, value in content.items()}


def _exit_code(folder: Path) -> int:
    for name in [folder.name, *guests_of(folder)]:
        observed = read_observed(folder.parent / name)
        if observed is not None and observed.phase is Phase.FAILED and not observed.version:
            click.echo(f"Error: {observed.error}", err=True)
            kinds: dict[str, type[LifecycleError]] = {kind.code: kind for kind in (Conflict, IntegrityError)}
            return kinds.get(observed.code, DeploymentFailed).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
