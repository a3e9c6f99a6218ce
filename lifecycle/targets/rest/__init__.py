"""The REST target: one detached server per deployment, controlled by files.

The server needs neither the target nor its options, so importing the
package imports neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifecycle.targets.rest.target import RestTarget

__all__ = ["RestTarget"]


def __getattr__(name: str) -> Any:
    if name == "RestTarget":
        from lifecycle.targets.rest.target import RestTarget

        return RestTarget
    raise AttributeError(name)
