"""How trusted keys are shown: to people, and to machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifecycle.cli.output import print_table

if TYPE_CHECKING:
    from lifecycle.signing.trust import TrustedKey


def as_dict(key: TrustedKey) -> dict[str, Any]:
    """A trusted key for ``--json``."""
    fields = key.as_fields()
    del fields["x"]
    return {"thumbprint": fields.pop("kid"), **fields}


def print_keys(keys: Sequence[TrustedKey], own: str | None, title: str) -> None:
    """One line a key; ``own`` is the thumbprint of this machine's."""
    print_table(
        ["Name", "Thumbprint", "May sign", "Since", "Revoked", ""],
        [
            (
                k.name,
                k.kid,
                permissions(k),
                when(k.trusted_at),
                when(k.revoked_at),
                "this machine's" if k.kid == own else None,
            )
            for k in keys
        ],
        title=title,
    )


def standing(key: TrustedKey | None) -> str:
    """Whether it counts, as what, and for what."""
    if key is None:
        return "no"
    return (
        f"no, revoked on {when(key.revoked_at)}"
        if key.revoked_at
        else f"yes, as {key.name}, for {permissions(key)}"
    )


def permissions(key: TrustedKey) -> str:
    """What it may sign."""
    return " and ".join(sorted(key.may))


def when(moment: datetime | None) -> str:
    """To the minute; empty for never."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""
