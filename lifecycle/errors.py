"""The errors of this package, as one tree.

::

    LifecycleError                 1   something was refused or went wrong
    ├── UsageError                 2   the call, the command line or a name in it is wrong
    │   ├── ConfigError            2   lifecycle.yaml or an environment variable
    │   └── OptionError            2   an unknown or malformed -C option
    ├── PromotionRefused           1   the gates, approvals or order of stages do not allow it
    ├── NotPromoted                1   a deployment asked for a version that its stage does not hold
    ├── NotTrusted                 1   not signed by a trusted key, or no user is signed in
    ├── Inconclusive               3   a check could not judge
    ├── CheckBroke                 4   a check itself failed to run
    ├── NotFound                   5   no such model, version, stage, deployment, target
    ├── Conflict                   6   another change was first, or a name or port is taken
    ├── Unavailable                7   the registry, its database or a server does not answer
    ├── IntegrityError             8   files or records differ from what was judged
    └── DeploymentFailed           9   a target could not bring the version up

The number is the exit code of the command line. ``code`` is stable and meant for machines. The message is one
line for people and says what to do next. Neither contains row values or secrets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class LifecycleError(Exception):
    """Base class of all errors of this package."""

    code: ClassVar[str] = "LIFECYCLE_ERROR"
    exit_code: ClassVar[int] = 1


class UsageError(LifecycleError):
    """The call or a name in it is wrong; nothing was attempted."""

    code = "USAGE"
    exit_code = 2


class ConfigError(UsageError):
    """A setting is wrong: the message names the file, the key and the nearest known key."""

    code = "CONFIG"


class OptionError(UsageError):
    """A deployment option (``-C key=value``) is unknown or malformed."""

    code = "OPTION"


class PromotionRefused(LifecycleError):
    """The policy does not allow this promotion; the message names what is missing and the command to run."""

    code = "PROMOTION_REFUSED"


class NotPromoted(LifecycleError):
    """A deployment was asked to serve a version that does not hold the deployment's stage."""

    code = "NOT_PROMOTED"


class NotTrusted(LifecycleError):
    """Evidence is not signed by a trusted key with that permission, or the action needs a signed-in user."""

    code = "NOT_TRUSTED"


class Inconclusive(LifecycleError):
    """A check could not judge, so nothing was promoted."""

    code = "INCONCLUSIVE"
    exit_code = 3


class CheckBroke(LifecycleError):
    """A check itself failed to run, so nothing was promoted."""

    code = "CHECK_ERROR"
    exit_code = 4


class NotFound(LifecycleError):
    """A named thing does not exist; the message lists the known names."""

    code = "NOT_FOUND"
    exit_code = 5


class Conflict(LifecycleError):
    """Another change was first, or a name, port or output is taken."""

    code = "CONFLICT"
    exit_code = 6


class Unavailable(LifecycleError):
    """A registry, database or server does not answer; the same call may work later."""

    code = "UNAVAILABLE"
    exit_code = 7


class IntegrityError(LifecycleError):
    """Files or records differ from the ones that were judged."""

    code = "INTEGRITY"
    exit_code = 8


class DeploymentFailed(LifecycleError):
    """A target could not start a version; the version that served before still does."""

    code = "DEPLOYMENT_FAILED"
    exit_code = 9


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message that ``name`` is not a known ``kind``, with the nearest name and the whole list.

    >>> unknown("gate", "drfit", ["drift", "signature"])
    "unknown gate 'drfit'; did you mean 'drift'? Known: drift, signature"
    """
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}"
