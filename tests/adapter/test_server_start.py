"""A server whose policy or trusted keys cannot be read does not start, and never falls back to anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.processes.process import free_port
from tests.proof import some

pytestmark = pytest.mark.slow

FINE = "defaults: {stages: {production: {stage: Production, gates: [signature]}}}\n"
NO_KEYS = '{"keys": []}\n'
BROKEN = {
    "no YAML": ("models:\n  wine:\n    stages: [\n", NO_KEYS, "lifecycle.yaml, line 4: not readable as YAML"),
    "an unknown key": (FINE.replace("gates", "gaets"), NO_KEYS, "did you mean 'gates'"),
    "an unknown gate": (FINE.replace("signature", "sginature"), NO_KEYS, "did you mean 'signature'"),
    "no JSON": (
        FINE,
        '{"keys": [\n',
        "trusted.json: not a file of trusted keys: Expecting value: line 2 column 1",
    ),
    "a key with more rights than there are": (FINE, '{"keys": [{"may": ["all"]}]}\n', "trusted.json"),
}


@pytest.mark.parametrize("what", some(BROKEN, "an unknown gate", "a key with more rights than there are"))
def test_it_ends_at_once_and_says_which_file_and_where(what, tmp_path: Path, empty_database: Path):
    policy, keys, said = BROKEN[what]
    (tmp_path / "lifecycle.yaml").write_text(policy)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "trusted.json").write_text(keys)
    database = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"
    server = [
        *(sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(free_port())),
        *("--workers", "1", "--backend-store-uri", database, "--registry-store-uri", f"lifecycle+{database}"),
    ]
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "LIFECYCLE_"))}
    ours |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "LIFECYCLE_HOME": str(tmp_path),
        "LIFECYCLE_CONFIG": str(tmp_path / "lifecycle.yaml"),
    }
    done = subprocess.run(server, env=ours, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    last = [line for line in done.stderr.splitlines() if line.strip()][-1]
    assert last.startswith("lifecycle.errors.ConfigError: ")
    assert said in last
