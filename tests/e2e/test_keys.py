"""``lifecycle keys`` as people use it: one machine signs, another one decides whose signatures count there."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.cli import run
from lifecycle.cli.keys import trust_
from lifecycle.config.load import BUILT_IN
from lifecycle.domain.promotion.decide import LONGEST_OVERRIDE
from lifecycle.errors import NotTrusted
from lifecycle.signing.jws import sign, verify
from lifecycle.signing.local_key import KEY_VARIABLE, private_file, signing_key, trust_store
from lifecycle.signing.trust import TRUST_VARIABLE, Permission

KEY, TRUSTED = KEY_VARIABLE, TRUST_VARIABLE


class Machine:
    """A home of its own, and what its commands say."""

    def __init__(self, home, patch, capture):
        self.home, self._patch, self._capture = home, patch, capture

    def __call__(self, call, code=0, typed="", **environment):
        with self._patch.context() as patch:
            patch.setenv("LIFECYCLE_HOME", str(self.home))
            for variable in (KEY, TRUSTED):
                patch.setenv(variable, environment.get(variable, ""))
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
            got = run(shlex.split(call))
        said = self._capture.readouterr()
        assert got == code, said.err
        assert "PRIVATE KEY" not in said.out + said.err
        assert "Traceback" not in said.err
        return said.err if code else said.out

    @property
    def key(self):
        return signing_key(self.home, {})

    @property
    def trusted(self):
        return {key.name: key for key in trust_store(self.home, {}).keys()}  # noqa: SIM118  a method of ours

    def reads(self, key, permission=Permission.EVIDENCE):
        try:
            return verify(sign(key, permission, "{}"), permission, trust_store(self.home, {}))[0] == "{}"
        except NotTrusted:
            return False


@pytest.fixture
def machines(tmp_path, monkeypatch, capsys):
    for variable in ("LIFECYCLE_CONFIG", "LIFECYCLE_OWNER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "build_7.example.org")
    return SimpleNamespace(
        **{name: Machine(tmp_path / name, monkeypatch, capsys) for name in ("laptop", "ci", "server")}
    )


def last_command(said):
    """The command that the last line shows, as its reader would type it."""
    program, _, call = said.splitlines()[-1].strip().partition(" ")
    assert program == "lifecycle"
    return call


def test_on_a_laptop_one_command_makes_a_key_that_counts_there(machines):
    said = machines.laptop("keys init")
    assert machines.laptop.key.kid in said
    assert "yes, as own, for evidence" in said
    assert machines.laptop.reads(machines.laptop.key)
    assert machines.laptop("keys init") == said


def test_a_server_trusts_ci_with_the_command_that_ci_was_shown(machines, tmp_path):
    said = machines.ci("keys init --name ci")
    (public,) = re.findall(r"^Public half: +(.+)$", said, re.MULTILINE)
    assert not machines.server.reads(machines.ci.key)
    shutil.copy(public, tmp_path)
    assert "may sign evidence from now on, and nothing else" in machines.server(last_command(said))
    assert machines.server.reads(machines.ci.key)
    assert not machines.server.reads(machines.ci.key, Permission.OVERRIDE)
    assert machines.server.trusted["ci"].kid == machines.ci.key.kid


def test_a_key_from_the_environment_shows_its_public_half_to_be_saved(machines, tmp_path):
    pem = machines.ci.key.private_pem.decode()
    said = machines.laptop("keys init --name ci", **{KEY: pem})
    (public,) = re.findall(r"-----BEGIN PUBLIC KEY-----\n.*\n-----END PUBLIC KEY-----\n", said)
    assert "Trusted here: no" in said
    assert not machines.laptop.home.exists()
    (tmp_path / "ci.pub.pem").write_text(public)
    machines.server(last_command(said))
    assert machines.server.reads(machines.ci.key)


def test_init_for_machines(machines):
    facts = json.loads(machines.ci("keys init --json"))
    assert facts["thumbprint"] == machines.ci.key.kid
    assert facts["public_key"] == machines.ci.key.pem
    assert facts["file"] == str(machines.ci.home / "keys" / "signing.pub.pem")
    assert facts["trust"] == "lifecycle keys trust signing.pub.pem --name build-7"
    assert facts["trusted_here"]["may"] == ["evidence"]
    machines.ci("keys revoke own")
    assert json.loads(machines.ci("keys init --json"))["trusted_here"]["revoked_at"]
    from_environment = {KEY: str(private_file(machines.ci.home))}
    elsewhere = json.loads(machines.laptop("keys init --json", **from_environment))
    assert (elsewhere["file"], elsewhere["trusted_here"]) == (None, None)


def test_a_key_comes_through_standard_input_too(machines):
    machines.server("keys trust - --name ci", typed=machines.ci.key.pem)
    assert machines.server.reads(machines.ci.key)


def test_the_owner_gives_their_own_key_more_and_takes_it_back(machines):
    machines.laptop("keys init")
    assert "evidence and override" in machines.laptop("keys trust --own --may evidence --may override")
    assert machines.laptop.reads(machines.laptop.key, Permission.OVERRIDE)
    machines.laptop("keys trust --own")
    assert not machines.laptop.reads(machines.laptop.key, Permission.OVERRIDE)
    assert machines.laptop.reads(machines.laptop.key)


def test_revoking_says_what_it_means_and_trusting_again_says_so_too(machines):
    machines.laptop("keys init")
    said = machines.laptop("keys revoke own")
    assert "whenever it was signed" in said
    assert not machines.laptop.reads(machines.laptop.key)
    assert machines.laptop("keys revoke own") == said
    assert "revoked on" in machines.laptop("keys init")
    assert "everything it signed is accepted again" in machines.laptop("keys trust --own")
    assert machines.laptop.reads(machines.laptop.key)
    assert json.loads(machines.laptop(f"keys revoke --json -- {machines.laptop.key.kid}"))["revoked_at"]


def test_the_list_shows_everybody_and_which_key_is_this_machines(machines):
    assert "No key is trusted here yet" in machines.server("keys list")
    machines.server("keys init")
    machines.server("keys trust - --name ci", typed=machines.ci.key.pem)
    machines.server("keys revoke ci")
    own, ci = (row_of(name, machines.server("keys list")) for name in ("own", "ci"))
    assert ("this machine's" in own, "this machine's" in ci) == (True, False)
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", ci)) == 2
    from_environment = {KEY: str(private_file(machines.ci.home))}
    assert "this machine's" in row_of("ci", machines.server("keys list", **from_environment))
    machines.laptop("keys init")
    assert f"not among them: {machines.ci.key.kid}" in machines.laptop("keys list", **from_environment)


def row_of(name, table):
    return next(line for line in table.splitlines() if f" {name} " in line)


def test_the_list_for_machines(machines):
    assert json.loads(machines.server("keys list --json"))["keys"] == []
    machines.server("keys init")
    machines.server("keys trust - --name ci --may override", typed=machines.ci.key.pem)
    told = json.loads(machines.server("keys list --json"))
    assert told["own"] == machines.server.key.kid
    assert told["file"] == str(machines.server.home / "keys" / "trusted.json")
    assert [(key["name"], key["may"], key["own"], key["revoked_at"]) for key in told["keys"]] == [
        ("own", ["evidence"], True, None),
        ("ci", ["override"], False, None),
    ]


def test_a_shared_file_is_decided_on_by_people_alone(machines, tmp_path):
    shared = {TRUSTED: str(tmp_path / "shared" / "trusted.json")}
    assert "Trusted here: no" in machines.laptop("keys init", **shared)
    machines.laptop("keys trust --own --name anna", **shared)
    assert "yes, as anna" in machines.laptop("keys init", **shared)
    assert machines.laptop.trusted == {}


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("keys trust", 2, "name one key"),
        ("keys trust ci.pub.pem --own", 2, "name one key"),
        ("keys trust gone.pem --name ci", 2, "No such file"),
        ("keys trust laptop --name ci", 2, "laptop: cannot be read: No such file"),
        ("keys trust server --name ci", 2, "server: cannot be read: Is a directory"),
        ("keys trust ci.pub.pem", 2, "a key needs a name"),
        ("keys trust ci.pub.pem --name 'c i'", 2, "a key needs a name"),
        ("keys trust ci.pub.pem --name own", 6, "another key is called 'own'"),
        ("keys trust ci.pub.pem --name ci --may everything", 2, "'evidence', 'override'"),
        ("keys trust ci.pem --name ci", 2, "ci.pem: a private key, which never leaves its machine"),
        ("keys trust /dev/zero --name ci", 2, "/dev/zero: not one Ed25519 public key"),
        ("keys trust - --name ci", 2, "standard input: not one Ed25519 public key"),
        ("keys init --name 'c i'", 2, "a key needs a name"),
        ("keys revoke ow", 5, "did you mean 'own'? Known: own"),
        ("keys revoke ''", 5, "Known: own"),
    ],
)
def test_a_wrong_call_changes_nothing(machines, tmp_path, call, code, said):
    machines.server("keys init")
    before = machines.server.trusted
    (tmp_path / "ci.pub.pem").write_text(machines.ci.key.pem)
    shutil.copy(private_file(machines.ci.home), tmp_path / "ci.pem")
    assert said in machines.server(call, code)
    assert machines.server.trusted == before


def test_a_file_of_trusted_keys_that_is_not_sound_stops_every_command(machines):
    machines.server("keys init")
    file = trust_store(machines.server.home, {}).file
    for damage, said in (
        (lambda: file.chmod(0o666), "chmod go-w"),
        (lambda: file.write_text("{}"), "not a file of"),
    ):
        damage()
        for call in ("keys list", "keys init", "keys trust --own", "keys revoke own"):
            assert f"Error: {file}: " in (error := machines.server(call, 2))
            assert said in error
        file.chmod(0o644)
    assert file.read_text() == "{}"


def test_a_private_key_that_others_can_read_is_not_used(machines):
    machines.ci("keys init")
    private_file(machines.ci.home).chmod(0o640)
    assert f"chmod 600 {private_file(machines.ci.home)}" in machines.ci("keys init", 2)
    private_file(machines.ci.home).chmod(0o600)
    machines.ci("keys init")


def test_every_permission_can_be_given():
    (may,) = [option for option in trust_.params if option.name == "may"]
    assert set(may.type.choices) == set(Permission)


def test_the_command_line_answers_before_it_knows_any_cryptography():
    program = "import sys, lifecycle.cli.keys; sys.exit(bool({'joserfc', 'cryptography'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)


def test_the_page_on_keys_names_the_files_the_variables_and_the_limits(machines):
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    machines.laptop("keys init")
    machines.laptop("keys api create dashboard")
    made = {f"keys/{file.name}" for file in (machines.laptop.home / "keys").glob("[!.]*")}
    assert set(re.findall(r"^\| `(keys/[\w.]+)` \|", page, re.MULTILINE)) == made
    assert set(re.findall(r"^\| `(LIFECYCLE_\w+)` \|", page, re.MULTILINE)) == {KEY_VARIABLE, TRUST_VARIABLE}
    assert f"for up to {LONGEST_OVERRIDE.days} days" in page
    assert f"`max_age_days`, {BUILT_IN.stages['production'].max_age_days:g} unless" in page
