"""A server that no deployment is on record for: the same files, in a folder that goes with it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.serving import control
from lifecycle.serving.auth.api_keys import api_keys_file
from lifecycle.serving.auth.check import check_door
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.rest.outcome import desired_of


def lay_out(home: Path, specs: Sequence[DeploymentSpec], ports: Sequence[int]) -> Path:
    """Write down what a server is to answer with.

    Args:
        specs: The first is its host, the others are its guests; the host's options count.
        ports: To try in turn.

    Returns:
        The host's folder, for ``lifecycle.serving.supervisor``; its parent is to be deleted in the end.

    Raises:
        LifecycleError: the server would be open to others without being told so.
    """
    options = RestOptions.parse(specs[0].options)
    settings = options.settings(ports, api_keys_file(home))
    check_door(settings, datetime.now(UTC))
    root = home / "served"
    root.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{specs[0].name}-", dir=root))
    folder = place / specs[0].name
    for spec in specs:
        (place / spec.name).mkdir()
        control.write_desired(place / spec.name, desired_of(spec, 1, settings, options.timeout_s))
    for spec in specs[1:]:
        control.add_guest(folder, spec.name)
    return folder
