"""Make ``.venv`` and install this project with one of its extras: ``python3.11 .ci/set_up.py demo``.

Needs Python with venv and pip, nothing else. pip installs uv into the environment, and torch; uv installs the
rest, several times faster. uv reads no settings of pip, so index, certificates, proxy and the like are translated
here. A set-up that was interrupted starts over.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / ".unfinished"
HOLDS = {"demo": ("demo",), "dev": ("demo", "dev")}
"""Extras, and which extras are installed along with each."""
UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
"""pip's settings and the variables that mean the same to uv."""


def main(extra: str) -> int:
    """Install the extra and leave ``.venv/.ready-EXTRA`` for each one that is installed; returns an exit code."""
    begun = time.monotonic()
    print(f"Setting up {VENV} for {extra} (about a minute the first time) ...", flush=True)
    if UNFINISHED.exists() or not PYTHON.exists():
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True)
    UNFINISHED.touch()
    if code := _install_with_pip("uv") or (extra == "dev" and _install_with_pip("torch")) or _install(extra):
        return code
    UNFINISHED.unlink()
    for held in HOLDS[extra]:
        (VENV / f".ready-{held}").touch()
    print(f"Set up in {time.monotonic() - begun:.0f} s.", flush=True)
    return 0


def _install_with_pip(package: str) -> int:
    """Torch too: pip finds a build for the CPU where its settings name one; uv does not look there."""
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", package]
    return subprocess.run([*command, "--constraint", "constraints.txt"], check=False).returncode


def _install(extra: str) -> int:
    settings = _pip_settings()
    constraints = ["constraints.txt", *settings.get("constraint", "").split()]
    command = [VENV / "bin" / "uv", "pip", "install", "--python", PYTHON, "--compile-bytecode"]
    command += [word for file in constraints for word in ("--constraint", file)]
    environment = _as_uv_knows_them(settings) | os.environ
    installing = subprocess.Popen(
        [*command, "--editable", f".[{extra}]", "editables"], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert installing.stderr is not None
    for line in installing.stderr:
        if not line.startswith((" + ", " ~ ", " - ")):  # one line for each of two hundred packages
            print(f"  {line.rstrip()}", flush=True)
    return installing.wait()


def _pip_settings() -> dict[str, str]:
    """What pip would use: its environment variables win over its files, and ``[install]`` over ``[global]``."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        settings.setdefault(section, {})[key] = " ".join(ast.literal_eval(value).split())
    return settings["global"] | settings["install"] | settings[":env:"]


def _as_uv_knows_them(settings: dict[str, str]) -> dict[str, str]:
    known = {variable: settings[name] for name, variable in UV_SETTINGS.items() if name in settings}
    if "UV_FIND_LINKS" in known:
        known["UV_FIND_LINKS"] = known["UV_FIND_LINKS"].replace(" ", ",")
    if "UV_INDEX" in known:  # pip takes the best version of all indexes; uv would stop at the first that has any
        known["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return known


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
