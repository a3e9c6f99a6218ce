"""``lifecycle keys api``: who may ask the servers of this home."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.key_texts import when
from lifecycle.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from lifecycle.serving.auth.api_key import ApiKey
    from lifecycle.serving.auth.api_keys import ApiKeys

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=3650)


@click.group("api")
def api() -> None:
    """Say who may ask a deployment's server: API keys, which running servers notice within a second."""


@api.command("create")
@click.argument("name")
@click.option(
    "--may",
    type=click.Choice(["predict", "admin"]),
    default="predict",
    show_default=True,
    help="What it opens: predictions, or these and what changes a server.",
)
@click.option(
    "--expires", metavar="TIME", help="Until when, from now: 90d, 12h or 30m. Default: until it is revoked."
)
@click.option("--deployment", "deployments", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@json_option
def create(name: str, may: str, expires: str | None, deployments: Sequence[str], as_json: bool) -> None:
    """Make a key, and show it: this once and never again, since only its hash is kept.

    NAME is what lists and logs call it.

    Example: lifecycle keys api create dashboard --expires 90d --deployment flights
    """
    made = _store().create(name, may, deployments, datetime.now(UTC), _lasting(expires))
    key = made.key
    if as_json:
        print_json({**_as_dict(key), "key": made.secret})
        return
    click.echo(f"Key:     {made.secret}")
    click.echo(f"Opens:   {_opens(key)}, {f'until {when(key.expires_at)}' if key.expires_at else 'until revoked'}")
    click.echo("It is shown this once. Clients send it as a header:  Authorization: Bearer KEY")
    click.echo("Our own commands take it from the environment:       LIFECYCLE_API_KEY")


@api.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show the API keys, what they open, and until when.

    Example: lifecycle keys api list
    """
    store = _store()
    keys = store.all()
    if as_json:
        print_json({"file": store.file, "keys": [_as_dict(key) for key in keys]})
        return
    if not keys:
        click.echo(f"There is no API key yet ({store.file}). Make one with: lifecycle keys api create NAME")
        return
    rows = [(k.name, k.id, _opens(k), when(k.created_at), when(k.expires_at), _end(k)) for k in keys]
    print_table(["Name", "Id", "Opens", "Since", "Until", ""], rows, f"API keys: {store.file}")


@api.command("revoke")
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """Have a key open nothing any more. Running servers go by it within a second.

    NAME is its name or its id, never the key itself.

    Example: lifecycle keys api revoke dashboard
    """
    revoked = _store().revoke(name, datetime.now(UTC))
    if as_json:
        print_json(_as_dict(revoked))
        return
    click.echo(f"{revoked.name} opens nothing any more, since {when(revoked.revoked_at)}.")


def _store() -> ApiKeys:
    from lifecycle.config.load import home_of
    from lifecycle.serving.auth.api_keys import ApiKeys, api_keys_file

    return ApiKeys(api_keys_file(home_of(os.environ)))


def _lasting(text: str | None) -> timedelta | None:
    if text is None:
        return None
    from lifecycle.errors import UsageError

    match = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < lasts <= _LONGEST:
        raise UsageError(f"--expires {text[:20]!r}: write 90d, 12h or 30m, and at most {_LONGEST.days}d")
    return lasts


def _as_dict(key: ApiKey) -> dict[str, Any]:
    fields = key.as_fields()
    del fields["sha256"]
    return fields


def _opens(key: ApiKey) -> str:
    return f"{key.may} on {', '.join(key.deployments) or 'every deployment'}"


def _end(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {when(key.revoked_at)}"
    return "" if key.counts(datetime.now(UTC)) else "expired"
