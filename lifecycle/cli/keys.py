"""``lifecycle keys``: signing keys and which are trusted; ``lifecycle keys api``: API keys of REST servers."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.output import json_option, print_json, print_table
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.serving.auth.api_key import ApiKey
    from lifecycle.serving.auth.api_keys import ApiKeys
    from lifecycle.signing.keys import PublicKey
    from lifecycle.signing.trust import TrustedKey, TrustStore

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=3650)


@click.group()
def keys() -> None:
    """Manage signing keys and API keys.

    A registry accepts gate results that a trusted signing key has signed. An API key (keys api) lets a client
    use a REST server.
    """


@keys.command("init")
@click.option("--name", help="Name for the key where it will be trusted. Default: this machine's name.")
@json_option
def init(name: str | None, as_json: bool) -> None:
    """Show this machine's signing key, creating it first.

    It also prints the command by which another registry trusts the key. The key is trusted here at once to sign
    evidence. It is not if it was revoked, or if the environment names the key (LIFECYCLE_SIGNING_KEY) or the
    file of trusted keys (LIFECYCLE_TRUSTED_KEYS).

    Exit codes: 0 done, 2 the key or the file of trusted keys is broken, 7 it cannot be written.

    Example: lifecycle keys init --name ci
    """
    from lifecycle.signing.local_key import KEY_VARIABLE, own_key, write_public_half
    from lifecycle.signing.trust import check_key_name

    name = name or _machine_name()
    check_key_name(name)
    home, trust = _places()
    key = own_key(home, os.environ, trust, datetime.now(UTC))
    # a key from the environment has no file beside which its public half could lie
    file = None if os.environ.get(KEY_VARIABLE) else write_public_half(key, home)
    known = trust.find(key.kid)
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
    click.echo(f"Trusted here: {_trusted_as(known)}")
    click.echo(f"Public half:  {file or key.pem}")
    click.echo("To have it trusted elsewhere, send the public half to that registry's operator, who runs there:")
    click.echo(f"  {command}")


@keys.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the trusted signing keys.

    It shows what each may sign, since when, and whether it was revoked.

    Exit codes: 0 done, 2 the file of trusted keys is broken.

    Example: lifecycle keys list
    """
    from lifecycle.signing.local_key import present_key

    home, trust = _places()
    known, own = trust.keys(), present_key(home, os.environ)
    kid = own.kid if own else None
    if as_json:
        entries = [{**_as_dict(key), "own": key.kid == kid} for key in known]
        print_json({"file": trust.file, "keys": entries, "own": kid})
        return
    if not known:
        click.echo(f"No key is trusted here yet ({trust.file}). Begin with: lifecycle keys init")
        return
    mine = {kid: "this machine's"}
    print_table(
        ["Name", "Thumbprint", "May sign", "Since", "Revoked", ""],
        [
            (k.name, k.kid, _permissions(k), _minute(k.trusted_at), _minute(k.revoked_at), mine.get(k.kid))
            for k in known
        ],
        title=f"Trusted keys: {trust.file}",
    )
    if kid and trust.find(kid) is None:
        click.echo(f"This machine's own key is not among them: {kid}")


@keys.command("trust")
@click.argument("file", type=click.Path(allow_dash=True), required=False)
@click.option("--own", is_flag=True, help="Trust this machine's own key, instead of a FILE.")
@click.option("--name", help="Name of the key. A key that is known already keeps its name.")
@click.option(
    "--may",
    multiple=True,
    type=click.Choice(["evidence", "override"]),
    default=["evidence"],
    show_default=True,
    help="What it may sign: evidence of gate runs, or promotions without gates. Repeat it for both.",
)
@json_option
def trust_(file: str | None, own: bool, name: str | None, may: Sequence[str], as_json: bool) -> None:
    """Trust a signing key.

    It may sign what --may names and nothing else. FILE is the public half that "lifecycle keys init" wrote on
    the other machine; - reads it from standard input. It takes effect at the guard's next read of the file,
    without a restart.

    \b
    Exit codes: 0 done, 2 not an Ed25519 public key or no name, 6 another key has the name,
    7 the file of trusted keys cannot be written.

    \b
    Examples:
      lifecycle keys trust ci.pub.pem --name ci
      lifecycle keys trust --own --may evidence --may override
    """  # noqa: D301  click reads \b
    from lifecycle.signing.local_key import signing_key
    from lifecycle.signing.trust import Permission

    if (file is None) != own:
        raise UsageError("name one key: the PEM file of its public half, - for standard input, or --own")
    home, trust = _places()
    key = _read(file) if file else signing_key(home, os.environ)
    before = trust.find(key.kid)
    trusted = trust.trust(key, name, [Permission(word) for word in may], datetime.now(UTC))
    if as_json:
        print_json(_as_dict(trusted))
        return
    click.echo(f"{trusted.name} ({trusted.kid}) may sign {_permissions(trusted)} from now on, and nothing else.")
    if before and before.revoked_at:
        click.echo(f"It was revoked on {_minute(before.revoked_at)}; everything it signed is accepted again.")


@keys.command("revoke")
@click.argument("key")
@json_option
def revoke(key: str, as_json: bool) -> None:
    """Stop trusting a signing key.

    Nothing that it signed is accepted any more, whenever it was signed. KEY is its name, or its thumbprint; the
    first 8 characters are enough. Versions stay in their stages and stay deployed; the next promotion needs
    gates that a trusted key has signed.

    Exit codes: 0 done, 5 no such key, 7 the file of trusted keys cannot be written.

    Example: lifecycle keys revoke ci
    """
    revoked = _places()[1].revoke(key, datetime.now(UTC))
    if as_json:
        print_json(_as_dict(revoked))
        return
    click.echo(f"{revoked.name} ({revoked.kid}) is revoked since {_minute(revoked.revoked_at)}.")
    click.echo("Nothing that it signed is accepted any more, whenever it was signed. Run those gates again.")
    click.echo("Versions stay in their stages. Was the key stolen? See what has moved: lifecycle history MODEL")


@keys.group("api")
def api() -> None:
    """Manage API keys, which clients of a REST server send.

    Running servers see a change within a second.
    """


@api.command("create")
@click.argument("name")
@click.option(
    "--may",
    type=click.Choice(["predict", "admin"]),
    default="predict",
    show_default=True,
    help="predict: predictions only. admin: also the calls that change a server.",
)
@click.option(
    "--expires", metavar="TIME", help="Lifetime from now, such as 90d, 12h or 30m. Default: until it is revoked."
)
@click.option(
    "--deployment",
    "deployments",
    multiple=True,
    metavar="NAME",
    help="Restrict the key to this deployment. Repeatable. Default: all deployments.",
)
@json_option
def create(name: str, may: str, expires: str | None, deployments: Sequence[str], as_json: bool) -> None:
    """Create an API key and show it once.

    Only its hash is stored, so it cannot be shown again. NAME is what lists and access logs call it.

    Exit codes: 0 done, 2 the name or lifetime is not valid, 6 a key has that name, 7 it cannot be written.

    Example: lifecycle keys api create dashboard --expires 90d --deployment flights
    """
    made = _api_keys().create(name, may, deployments, datetime.now(UTC), _lifetime(expires))
    key = made.key
    if as_json:
        print_json({**_as_dict(key), "key": made.secret})
        return
    click.echo(f"Key:     {made.secret}")
    click.echo(
        f"Opens:   {_opens(key)}, {f'until {_minute(key.expires_at)}' if key.expires_at else 'until revoked'}"
    )
    click.echo("It is shown only once. Clients send it as a header:  Authorization: Bearer KEY")
    click.echo("Our own commands read it from the environment:       LIFECYCLE_API_KEY")


@api.command("list")
@json_option
def list_api_keys(as_json: bool) -> None:
    """List the API keys: what each opens, and until when.

    Exit codes: 0 done, 2 the file of API keys is broken.

    Example: lifecycle keys api list
    """
    store = _api_keys()
    keys = store.all()
    if as_json:
        print_json({"file": store.file, "keys": [_as_dict(key) for key in keys]})
        return
    if not keys:
        click.echo(f"There is no API key yet ({store.file}). Create one: lifecycle keys api create NAME")
        return
    rows = [(k.name, k.id, _opens(k), _minute(k.created_at), _minute(k.expires_at), _ended(k)) for k in keys]
    print_table(["Name", "Id", "Opens", "Since", "Until", ""], rows, f"API keys: {store.file}")


@api.command("revoke")
@click.argument("name")
@json_option
def revoke_api_key(name: str, as_json: bool) -> None:
    """Revoke an API key.

    Running servers refuse it within a second. NAME is its name or its id, never the key itself.

    Exit codes: 0 done, 5 no such key, 7 the file of API keys cannot be written.

    Example: lifecycle keys api revoke dashboard
    """
    revoked = _api_keys().revoke(name, datetime.now(UTC))
    if as_json:
        print_json(_as_dict(revoked))
        return
    click.echo(f"{revoked.name} was revoked at {_minute(revoked.revoked_at)}; it opens nothing any more.")


def _places() -> tuple[Path, TrustStore]:
    from lifecycle.config.load import home_of
    from lifecycle.signing.local_key import trust_store

    home = home_of(os.environ)
    return home, trust_store(home, os.environ)


def _read(file: str) -> PublicKey:
    from lifecycle.signing.keys import MAX_PEM_CHARS, PublicKey

    try:
        with click.open_file(file, "rb") as stream:
            content = stream.read(MAX_PEM_CHARS + 1)
    except OSError as exc:
        raise UsageError(f"{file}: cannot be read: {exc.strerror}") from exc
    where = "standard input" if file == "-" else file
    return PublicKey.from_pem(content.decode("ascii", "replace"), where)


def _machine_name() -> str:
    """The host's name, shortened to what a key's name can hold."""
    import socket

    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname().partition(".")[0]).strip("-")[:40] or "machine"


def _as_dict(key: TrustedKey | ApiKey) -> dict[str, Any]:
    """The key's fields, without what it is recognised by."""
    fields = {name: value for name, value in key.as_fields().items() if name not in ("x", "sha256")}
    return {"thumbprint": fields.pop("kid"), **fields} if "kid" in fields else fields


def _trusted_as(key: TrustedKey | None) -> str:
    if key is None:
        return "no"
    if key.revoked_at:
        return f"no, revoked on {_minute(key.revoked_at)}"
    return f"yes, as {key.name}, for {_permissions(key)}"


def _permissions(key: TrustedKey) -> str:
    return " and ".join(sorted(key.may))


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _api_keys() -> ApiKeys:
    from lifecycle.config.load import home_of
    from lifecycle.serving.auth.api_keys import ApiKeys, api_keys_file

    return ApiKeys(api_keys_file(home_of(os.environ)))


def _lifetime(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < lasts <= _LONGEST:
        raise UsageError(f"--expires {text[:20]!r}: write 90d, 12h or 30m, and at most {_LONGEST.days}d")
    return lasts


def _opens(key: ApiKey) -> str:
    return f"{key.may} on {', '.join(key.deployments) or 'every deployment'}"


def _ended(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_minute(key.revoked_at)}"
    return "" if key.counts(datetime.now(UTC)) else "expired"
