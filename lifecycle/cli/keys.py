"""``lifecycle keys``: this machine's key, and whose signatures count here."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from lifecycle.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from lifecycle.signing.keys import PublicKey
    from lifecycle.signing.trust import TrustedKey, TrustStore


@click.group()
def keys() -> None:
    """Say whose gate runs count: the keys that sign evidence, and those that may break the glass."""


@keys.command("init")
@click.option("--name", help="What to call it where it is to be trusted. Default: the machine's name.")
@json_option
@click.pass_obj
def init(config: Path | None, /, name: str | None, as_json: bool) -> None:
    """Show this machine's key, and how to have it trusted elsewhere. Where there is no key, it is made.

    Here it is trusted at once, unless it was revoked or the environment names it or the trusted keys.

    Example: lifecycle keys init --name ci
    """
    from lifecycle.signing.own import own_key
    from lifecycle.signing.trusted_key import check_key_name

    name = name or _machine_name()
    check_key_name(name)
    home, trust = _places(config)
    key = own_key(home, os.environ, trust, datetime.now(UTC))
    file, known = _public_half(key, home), trust.find(key.kid)
    command = f"lifecycle keys trust {file.name if file else f'{name}.pub.pem'} --name {name}"
    if as_json:
        print_json(
            {
                "thumbprint": key.kid,
                "public_key": key.pem,
                "file": file,
                "trust": command,
                "trusted_here": _as_dict(known) if known else None,
            }
        )
        return
    click.echo(f"Key:          {key.kid}")
    click.echo(f"Trusted here: {_standing(known)}")
    click.echo(f"Public half:  {file or key.pem}")
    click.echo("To have it trusted elsewhere, hand its public half to whoever runs that registry. They run there:")
    click.echo(f"  {command}")


@keys.command("list")
@json_option
@click.pass_obj
def list_(config: Path | None, /, as_json: bool) -> None:
    """Show whose signatures count here, for what, and since when.

    Example: lifecycle keys list
    """
    from lifecycle.signing.key_file import present_key

    home, trust = _places(config)
    known, own = trust.keys(), present_key(home, os.environ)
    kid = own.kid if own else None
    if as_json:
        print_json(
            {"file": trust.file, "keys": [{**_as_dict(key), "own": key.kid == kid} for key in known], "own": kid}
        )
        return
    if not known:
        click.echo(f"No key is trusted here yet ({trust.file}). Begin with: lifecycle keys init")
        return
    print_table(
        ["Name", "Thumbprint", "May sign", "Since", "Revoked", ""],
        [
            (
                k.name,
                k.kid,
                _may(k),
                _when(k.trusted_at),
                _when(k.revoked_at),
                "this machine's" if k.kid == kid else None,
            )
            for k in known
        ],
        title=f"Trusted keys: {trust.file}",
    )
    if kid and trust.find(kid) is None:
        click.echo(f"This machine's own key is not among them: {kid}")


@keys.command("trust")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--own", is_flag=True, help="This machine's own key, in place of a file.")
@click.option("--name", help="What to call it; a key that is known already keeps its name.")
@click.option(
    "--may",
    multiple=True,
    type=click.Choice(["evidence", "override"]),
    default=["evidence"],
    show_default=True,
    help="What it may sign: evidence of gate runs, or promotions without gates. Say it twice for both.",
)
@json_option
@click.pass_obj
def trust_(
    config: Path | None, /, file: IO[bytes] | None, own: bool, name: str | None, may: Sequence[str], as_json: bool
) -> None:
    """Trust a key with what --may says and nothing else.

    FILE is the public half that "lifecycle keys init" wrote where the key is; - reads it from standard input.

    \b
    Examples:
      lifecycle keys trust ci.pub.pem --name ci
      lifecycle keys trust --own --may evidence --may override
    """  # noqa: D301  click reads \b
    from lifecycle.errors import UsageError
    from lifecycle.signing.trust import Permission

    if (file is None) != own:
        raise UsageError("name one key: the PEM file of its public half, - for standard input, or --own")
    home, trust = _places(config)
    key = _read(file) if file else _own(home)
    before = trust.find(key.kid)
    trusted = trust.trust(key, name, [Permission(word) for word in may], datetime.now(UTC))
    if as_json:
        print_json(_as_dict(trusted))
        return
    click.echo(f"{trusted.name} ({trusted.kid}) may sign {_may(trusted)} from now on, and nothing else.")
    if before and before.revoked_at:
        click.echo(f"It was revoked on {_when(before.revoked_at)}; whatever it has signed counts again.")


@keys.command("revoke")
@click.argument("key")
@json_option
@click.pass_obj
def revoke(config: Path | None, /, key: str, as_json: bool) -> None:
    """Trust a key no more.

    KEY is its name, or its thumbprint, of which the first 8 characters will do. Nothing that it signed counts any
    more, whenever it was signed. What is in a stage stays there.

    Example: lifecycle keys revoke ci
    """
    revoked = _places(config)[1].revoke(key, datetime.now(UTC))
    if as_json:
        print_json(_as_dict(revoked))
        return
    click.echo(f"{revoked.name} ({revoked.kid}) is revoked since {_when(revoked.revoked_at)}.")
    click.echo("Nothing that it signed counts any more, whenever it was signed: those gates have to run again.")
    click.echo("What is in a stage stays there. Was the key stolen? See what has moved: lifecycle history MODEL")


def _places(config: Path | None) -> tuple[Path, TrustStore]:
    from lifecycle.config.load import load_config
    from lifecycle.signing.own import trust_store

    home = load_config(os.environ, Path.cwd(), config).home
    return home, trust_store(home, os.environ)


def _own(home: Path) -> PublicKey:
    from lifecycle.signing.key_file import signing_key

    return signing_key(home, os.environ)


def _read(file: IO[bytes]) -> PublicKey:
    from lifecycle.signing.keys import MAX_PEM_CHARS, PublicKey

    return PublicKey.from_pem(file.read(MAX_PEM_CHARS + 1).decode("ascii", "replace"), file.name)


def _public_half(key: PublicKey, home: Path) -> Path | None:
    """Its file; a key of the environment has no place of its own to put one."""
    from lifecycle.signing.key_file import KEY_VARIABLE, write_public_half

    return None if os.environ.get(KEY_VARIABLE) else write_public_half(key, home)


def _machine_name() -> str:
    """As much of the host's name as a key's name can hold."""
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname().partition(".")[0]).strip("-")[:40] or "machine"


def _as_dict(key: TrustedKey) -> dict[str, Any]:
    fields = key.as_fields()
    del fields["x"]
    return {"thumbprint": fields.pop("kid"), **fields}


def _standing(key: TrustedKey | None) -> str:
    if key is None:
        return "no"
    return f"no, revoked on {_when(key.revoked_at)}" if key.revoked_at else f"yes, as {key.name}, for {_may(key)}"


def _may(key: TrustedKey) -> str:
    return " and ".join(sorted(key.may))


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""
