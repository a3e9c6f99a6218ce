"""``lifecycle keys``: this machine's key, and whose signatures count here."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.key_texts import as_dict, permissions, print_keys, standing, when
from lifecycle.cli.output import json_option, print_json

if TYPE_CHECKING:
    from lifecycle.signing.keys import PublicKey
    from lifecycle.signing.trust import TrustStore


@click.group()
def keys() -> None:
    """Say whose gate runs count, and with "api" who may ask a deployment: keys that sign, and keys that open."""


@keys.command("init")
@click.option("--name", help="What to call it where it is to be trusted. Default: the machine's name.")
@json_option
def init(name: str | None, as_json: bool) -> None:
    """Show this machine's key, and how to have it trusted elsewhere. Where there is no key, it is made.

    Here it is trusted at once, unless it was revoked or the environment names it or the trusted keys.

    Example: lifecycle keys init --name ci
    """
    from lifecycle.signing.local_key import own_key
    from lifecycle.signing.trust import check_key_name

    name = name or _machine_name()
    check_key_name(name)
    home, trust = _places()
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
                "trusted_here": as_dict(known) if known else None,
            }
        )
        return
    click.echo(f"Key:          {key.kid}")
    click.echo(f"Trusted here: {standing(known)}")
    click.echo(f"Public half:  {file or key.pem}")
    click.echo("To have it trusted elsewhere, hand its public half to whoever runs that registry. They run there:")
    click.echo(f"  {command}")


@keys.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show whose signatures count here, for what, and since when.

    Example: lifecycle keys list
    """
    from lifecycle.signing.local_key import present_key

    home, trust = _places()
    known, own = trust.keys(), present_key(home, os.environ)
    kid = own.kid if own else None
    if as_json:
        print_json(
            {"file": trust.file, "keys": [{**as_dict(key), "own": key.kid == kid} for key in known], "own": kid}
        )
        return
    if not known:
        click.echo(f"No key is trusted here yet ({trust.file}). Begin with: lifecycle keys init")
        return
    print_keys(known, kid, f"Trusted keys: {trust.file}")
    if kid and trust.find(kid) is None:
        click.echo(f"This machine's own key is not among them: {kid}")


@keys.command("trust")
@click.argument("file", type=click.Path(allow_dash=True), required=False)
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
def trust_(file: str | None, own: bool, name: str | None, may: Sequence[str], as_json: bool) -> None:
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
    home, trust = _places()
    key = _read(file) if file else _own(home)
    before = trust.find(key.kid)
    trusted = trust.trust(key, name, [Permission(word) for word in may], datetime.now(UTC))
    if as_json:
        print_json(as_dict(trusted))
        return
    click.echo(f"{trusted.name} ({trusted.kid}) may sign {permissions(trusted)} from now on, and nothing else.")
    if before and before.revoked_at:
        click.echo(f"It was revoked on {when(before.revoked_at)}; whatever it has signed counts again.")


@keys.command("revoke")
@click.argument("key")
@json_option
def revoke(key: str, as_json: bool) -> None:
    """Trust a key no more.

    KEY is its name, or its thumbprint, of which the first 8 characters will do. Nothing that it signed counts any
    more, whenever it was signed. What is in a stage stays there.

    Example: lifecycle keys revoke ci
    """
    revoked = _places()[1].revoke(key, datetime.now(UTC))
    if as_json:
        print_json(as_dict(revoked))
        return
    click.echo(f"{revoked.name} ({revoked.kid}) is revoked since {when(revoked.revoked_at)}.")
    click.echo("Nothing that it signed counts any more, whenever it was signed: those gates have to run again.")
    click.echo("What is in a stage stays there. Was the key stolen? See what has moved: lifecycle history MODEL")


def _places() -> tuple[Path, TrustStore]:
    from lifecycle.config.load import home_of
    from lifecycle.signing.local_key import trust_store

    home = home_of(os.environ)
    return home, trust_store(home, os.environ)


def _own(home: Path) -> PublicKey:
    from lifecycle.signing.local_key import signing_key

    return signing_key(home, os.environ)


def _read(file: str) -> PublicKey:
    from lifecycle.errors import UsageError
    from lifecycle.signing.keys import MAX_PEM_CHARS, PublicKey

    try:
        with click.open_file(file, "rb") as stream:
            content = stream.read(MAX_PEM_CHARS + 1)
    except OSError as exc:
        raise UsageError(f"{file}: cannot be read: {exc.strerror}") from exc
    where = "standard input" if file == "-" else file
    return PublicKey.from_pem(content.decode("ascii", "replace"), where)


def _public_half(key: PublicKey, home: Path) -> Path | None:
    """Its file; a key of the environment has no place of its own to put one."""
    from lifecycle.signing.local_key import KEY_VARIABLE, write_public_half

    return None if os.environ.get(KEY_VARIABLE) else write_public_half(key, home)


def _machine_name() -> str:
    """As much of the host's name as a key's name can hold."""
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname().partition(".")[0]).strip("-")[:40] or "machine"
