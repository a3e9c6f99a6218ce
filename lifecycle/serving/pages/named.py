"""Pages about one model: which one, the path says."""

from __future__ import annotations

from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release, Releases

_MODEL, _VERSION = 3, 5  # of /v1/models/{model}/versions/{version}, split at its slashes; so too /v2


def named_release(request: Request, releases: Releases) -> Release:
    """What answers under the name, and perhaps the version, of a path below ``/v1/models`` or ``/v2/models``.

    Raises:
        Refusal: 404 for an unknown name, or another version than the one that answers.
    """
    parts = request.path.split("/")
    release = releases.get(parts[_MODEL])
    if release is None:
        raise Refusal(404, "no such model here")
    versioned = len(parts) > _VERSION and parts[_VERSION - 1] == "versions"
    if versioned and parts[_VERSION] != str(release.desired.version):
        raise Refusal(404, "this version does not answer here")
    return release
