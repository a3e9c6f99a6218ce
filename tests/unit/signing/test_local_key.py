"""The private key is one file that its owner alone can read, made once, whoever asks for it at the same time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lifecycle.errors import ConfigError, Unavailable
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.local_key import present_key, private_file, signing_key, write_public_half

VARIABLE = "LIFECYCLE_SIGNING_KEY"
HANGS_S = 60


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@contextmanager
def umask(mode):
    before = os.umask(mode)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def visible(folder):
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_it_is_made_once_and_closed_to_others_whatever_the_umask(home, mask):
    with umask(mask):
        made = signing_key(home, {})
        write_public_half(made, home)
    assert signing_key(home, {}).kid == made.kid
    assert mode_of(private_file(home)) == 0o600
    assert mode_of(home / "keys") == 0o700
    assert mode_of(home / "keys" / "signing.pub.pem") == 0o644
    assert visible(home / "keys") == {"signing.pem", "signing.pub.pem"}


def test_the_public_half_is_the_private_ones(home):
    made = signing_key(home, {})
    file = write_public_half(made, home)
    assert PublicKey.from_pem(file.read_text(), "").kid == made.kid
    assert "PRIVATE" not in file.read_text()


def test_looking_for_a_key_makes_none(home):
    assert present_key(home, {}) is None
    assert not home.exists()
    assert signing_key(home, {}).kid == present_key(home, {}).kid


def test_many_threads_get_one_key(tmp_path):
    threads = 12
    for turn in range(10):
        start = threading.Barrier(threads)

        def ask(home=tmp_path / str(turn), start=start):
            start.wait()
            return signing_key(home, {}).kid

        with ThreadPoolExecutor(threads) as pool:
            kids = {asked.result() for asked in [pool.submit(ask) for _ in range(threads)]}
        assert len(kids) == 1
        assert visible(tmp_path / str(turn) / "keys") == {"signing.pem"}


def test_many_processes_get_one_key(home):
    program = (
        "import sys, pathlib\n"
        "from lifecycle.signing.local_key import signing_key\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(signing_key(pathlib.Path(sys.argv[1]), {}).kid)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    kids = {process.communicate(timeout=HANGS_S)[0] for process in running}
    assert kids == {f"{signing_key(home, {}).kid}\n"}
    assert visible(home / "keys") == {"signing.pem"}


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o601, 0o644, 0o777])
def test_a_private_key_that_others_can_read_is_refused(home, mode):
    signing_key(home, {})
    private_file(home).chmod(mode)
    with pytest.raises(
        ConfigError, match=rf"{private_file(home)}: others may read .* chmod 600 {private_file(home)}"
    ):
        signing_key(home, {})
    with pytest.raises(ConfigError, match="chmod 600"):
        present_key(home, {})
    assert mode_of(private_file(home)) == mode


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff\xfe", b"\0" * 2_000_000])
def test_a_broken_private_key_is_refused_and_not_replaced(home, content):
    signing_key(home, {})
    private_file(home).write_bytes(content)
    with pytest.raises(ConfigError, match=str(private_file(home))):
        signing_key(home, {})
    assert private_file(home).read_bytes() == content


def test_a_folder_in_its_place_is_refused(home):
    private_file(home).mkdir(parents=True, mode=0o700)
    with pytest.raises(ConfigError, match=r"no private key can be read there \(IsADirectoryError\)"):
        signing_key(home, {})


def test_a_home_that_cannot_be_written_to(home):
    home.write_text("a file where the folder belongs")
    with pytest.raises(Unavailable, match=r"signing\.pem cannot be written"):
        signing_key(home, {})


def test_a_write_that_fails_leaves_nothing_behind(home):
    key = signing_key(home, {})
    (home / "keys" / "signing.pub.pem" / "kept").mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"signing\.pub\.pem cannot be written"):
        write_public_half(key, home)
    assert visible(home / "keys") == {"signing.pem", "signing.pub.pem"}


# From the environment


@pytest.fixture
def elsewhere(tmp_path):
    return signing_key(tmp_path / "elsewhere", {}), private_file(tmp_path / "elsewhere")


def test_the_environment_names_a_file_or_holds_the_key(home, elsewhere):
    key, file = elsewhere
    own = signing_key(home, {})
    for value in (str(file), file.read_text(), f"\n{file.read_text()}", file.read_text().replace("\n", "\r\n")):
        assert signing_key(home, {VARIABLE: value}).kid == present_key(home, {VARIABLE: value}).kid == key.kid
    assert signing_key(home, {VARIABLE: ""}).kid == own.kid


def test_a_key_of_the_environment_makes_none_in_the_home(home, elsewhere):
    signing_key(home, {VARIABLE: elsewhere[1].read_text()})
    with pytest.raises(ConfigError):
        signing_key(home, {VARIABLE: "/nowhere/signing.pem"})
    assert not home.exists()


def test_a_file_that_the_environment_names_is_as_closed(home, elsewhere):
    elsewhere[1].chmod(0o644)
    with pytest.raises(ConfigError, match=rf'{VARIABLE}: others may read .* chmod 600 "\${VARIABLE}"'):
        signing_key(home, {VARIABLE: str(elsewhere[1])})


def test_a_key_that_lost_its_first_line_is_taken_for_a_path_and_not_shown(home):
    body = SigningKey.generate().private_pem.decode().splitlines()[1]
    for value in (body, f"{body}\n-----END PRIVATE KEY-----\n", body * 100, f"{body}\0"):
        with pytest.raises(ConfigError, match=f"^{VARIABLE}: no private key can be read there") as error:
            signing_key(home, {VARIABLE: value})
        assert body[:10] not in str(error.value)


def test_a_key_of_the_environment_that_is_none(home, key):
    for value in (key.pem, "-----BEGIN PRIVATE KEY-----", str(home)):
        with pytest.raises(ConfigError, match=f"^{VARIABLE}: "):
            signing_key(home, {VARIABLE: value})
