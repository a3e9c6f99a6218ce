"""Pages about one model, which the path names."""

from __future__ import annotations

from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release, Releases

_MODEL, _VERSION = 3, 5  # parts of /v1/models/{model}/versions/{version}, split at slashes; the same below /v2


def named_release(request: Request, releases: Releases) -> Release:
    """The release under the name, and version if given, of a path below ``/v1/models`` or ``/v2/models``.

    Raises:
        Refusal: 404 for an unknown name, or for a version that does not answer.
    """
    parts = request.path.split("/")
    release = releases.get(parts[_MODEL])
    if release is None:
        raise Refusal(404, "no such model here")
    versioned = len(parts) > _VERSION and parts[_VERSION - 1] == "versions"
    if versioned and parts[_VERSION] != str(release.desired.version):
        raise Refusal(404, "this version does not answer here")
    return release
