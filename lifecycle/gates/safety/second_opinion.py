"""Adapter to modelscan, if it is installed.

It runs as a separate command: its newest release, 0.8.8, demands older versions of libraries than those in
use here, so it needs its own environment (``pipx install modelscan``). It knows harmful names and trusts
file extensions, so it can add issues but never remove any.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMMAND = "modelscan"
_LONGEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """Result of modelscan.

    Attributes:
        by: Name and version of the scanner, or why it did not run; for the verdict's figures.
        issues: Harmful names ``module.name`` by file.
    """

    by: str
    issues: tuple[tuple[str, str], ...] = ()


def second_opinion(folder: Path, seconds: float) -> Opinion:
    """Scan a folder with modelscan, with a time limit."""
    command = shutil.which(_COMMAND, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if command is None:
        return Opinion("not installed")
    # not in the model's folder, since modelscan reads settings from the working directory
    with tempfile.TemporaryDirectory(prefix="lifecycle-modelscan-") as scratch:
        report = Path(scratch) / "report.json"
        try:
            subprocess.run(
                [command, "scan", "-p", str(folder.resolve()), "-r", "json", "-o", str(report)],
                cwd=scratch,
                env={"PATH": os.environ.get("PATH", ""), "HOME": scratch},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=min(seconds, _LONGEST_S),
                check=False,
            )
            return _opinion(json.loads(report.read_bytes()))
        except subprocess.TimeoutExpired:
            return Opinion("modelscan took too long")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return Opinion("modelscan broke")


def _opinion(report: Mapping[str, Any]) -> Opinion:
    by = f"{_COMMAND} {report['summary']['modelscan_version']}"
    if report["errors"]:
        by += f", {len(report['errors'])} files not read"
    issues = {
        (str(issue["source"]), f"{issue.get('module')}.{issue.get('operator')}") for issue in report["issues"]
    }
    return Opinion(by, tuple(sorted(issues)))
