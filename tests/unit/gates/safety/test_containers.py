"""Formats are told by content, whatever a file is called and however often it is packed, within bounds."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from lifecycle.domain.verdict import Outcome

HARMLESS = pickle.dumps({"weights": [1.0]})
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50
MIB = 1 << 20


def as_zip(content, name="inner"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def as_npy(content):
    """An array of objects, whose pickle is the one given."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return buffer.getvalue() + content


PACKED = {
    "as it is": lambda content: content,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, fastest": lambda content: zlib.compress(content, 1),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "zip": as_zip,
    "zip in zip": lambda content: as_zip(as_zip(content)),
    "npy": as_npy,
    "npz": lambda content: as_zip(as_npy(content), "array.npy"),
    "gzip in zip in zip in gzip": lambda content: gzip.compress(as_zip(as_zip(gzip.compress(content)))),
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    "name", ["model.pkl", "model.skops", "input_example.json", "README.md", "picture.png", "x"]
)
def test_a_harmful_pickle_is_found_wherever_it_is(packed, name, folder, verdict_on, evil, canary):
    folder.write(name, PACKED[packed](evil))
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.not_allowed")
    assert "posix.system" in verdict.message
    assert name in verdict.message
    assert not canary.exists()


@pytest.mark.parametrize("packed", PACKED)
def test_a_harmless_one_passes_wherever_it_is(packed, folder, verdict_on):
    folder.write("model.pkl", PACKED[packed](HARMLESS))
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize("packed", [name for name in PACKED if name != "as it is"])
@pytest.mark.parametrize("lost", [1, 4, 20])
def test_a_file_that_is_cut_off_fails(packed, lost, folder, verdict_on):
    folder.write("model.pkl", PACKED[packed](HARMLESS)[:-lost])
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.broken"), verdict.message


@pytest.mark.parametrize("packed", PACKED)
def test_a_file_that_something_follows_fails(packed, folder, verdict_on, evil):
    folder.write("model.pkl", PACKED[packed](HARMLESS) + evil)
    assert verdict_on(folder).outcome is Outcome.FAILED


POLYGLOTS = {
    "a picture with a zip file at its end": lambda evil: PNG + as_zip(evil),
    "a pickle with a zip file at its end": lambda evil: HARMLESS + as_zip(evil),
    "a text with a zip file at its end": lambda evil: b"hello\n" + as_zip(evil),
    "a booster with a zip file at its end": lambda evil: b"{L\x00\x00" + as_zip(evil),
    "a zip file with a comment that is one": lambda evil: with_comment(HARMLESS, as_zip(evil)),
    "a zip file in front of a zip file": lambda evil: as_zip(HARMLESS) + as_zip(evil),
    "a harmful pickle in front of a zip file": lambda evil: evil + as_zip(HARMLESS),
    "an array with a zip file at its end": lambda evil: npy_of_numbers() + as_zip(evil),
}


def with_comment(content, comment):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner", content)
        archive.comment = comment
    return buffer.getvalue()


def npy_of_numbers():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3.0))
    return buffer.getvalue()


@pytest.mark.parametrize("polyglot", POLYGLOTS)
def test_a_file_that_is_two_things_fails(polyglot, folder, verdict_on, evil):
    folder.write("model.skops", POLYGLOTS[polyglot](evil))
    assert verdict_on(folder).outcome is Outcome.FAILED


@pytest.mark.parametrize("tail", [b"", HARMLESS, b"plain text"])
def test_a_picture_is_not_known_to_be_safe(tail, folder, verdict_on):
    folder.write("picture.png", PNG + tail)
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.unknown_format")
    assert "picture.png" in verdict.message


def test_a_picture_that_the_operator_vouches_for_is_accepted(folder, verdict_on, evil):
    folder.write("docs/picture.png", PNG)
    assert verdict_on(folder, accept_unknown=["docs/*.png"]).outcome is Outcome.PASSED
    assert verdict_on(folder, accept_unknown=["*.jpg"]).outcome is Outcome.INCONCLUSIVE
    folder.write("docs/picture.png", evil)
    assert verdict_on(folder, accept_unknown=["*"]).outcome is Outcome.FAILED, "a pickle is known"


UNKNOWN = {
    "HDF5, as Keras writes it": b"\x89HDF\r\n\x1a\n" + b"\x00" * 100,
    "a program": b"\x7fELF" + b"\x00" * 100,
    "Parquet": b"PAR1" + b"\x15\x04" * 20 + b"PAR1",
    "lz4": b"\x04\x22\x4d\x18" + b"\x00" * 100,
    "zeros": b"\x00" * 100,
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 1000, dtype="uint8")),
    "a text that is not UTF-8": "Größe".encode("latin-1"),
    "a text in UTF-16": "hello".encode("utf-16"),
    "an empty zip file": as_zip(b"")[-22:].replace(as_zip(b"")[-22:], b"PK\x05\x06" + b"\x00" * 18),
    "a pickle of a protocol to come": b"\x80\x09" + HARMLESS[2:],
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_does_not_pass(kind, folder, verdict_on):
    folder.write("model.pkl", UNKNOWN[kind])
    assert verdict_on(folder).outcome is not Outcome.PASSED


# Bounds


def bomb_of(size, compress):
    return compress(bytes(size))


BOMBS = {
    "zip": lambda: deflated({"a": bytes(64 * MIB)}),
    "zip in zip": lambda: deflated({"a": deflated({"a": bytes(64 * MIB)})}),
    "many that are small on their own": lambda: deflated({f"{i}": bytes(8 * MIB) for i in range(10)}),
    "gzip": lambda: gzip.compress(bytes(64 * MIB)),
    "bzip2": lambda: bz2.compress(bytes(64 * MIB)),
    "xz": lambda: lzma.compress(bytes(64 * MIB), preset=0),
    "archives in archives": lambda: nested(8),
}


def deflated(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def nested(levels):
    content = HARMLESS
    for _ in range(levels):
        content = as_zip(content)
    return content


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_fails(bomb, folder, verdict_on):
    folder.write("model.skops", BOMBS[bomb]())
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.bomb")


def test_a_bomb_is_not_unpacked_to_its_end(folder, verdict_on):
    folder.write("model.skops", deflated({"a": bytes(96 * MIB)}))
    assert verdict_on(folder).figures["unpacked_mib"] < 32


def test_entries_are_unpacked_up_to_the_operators_limit_all_together(folder, verdict_on, zipped):
    folder.write("model.skops", zipped({f"{i}.txt": b"a" * MIB for i in range(5)}))
    assert verdict_on(folder, max_mib=5).outcome is Outcome.PASSED
    verdict = verdict_on(folder, max_mib=4)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.too_large")
    assert "max_mib" in verdict.message


def test_a_directory_without_an_end_is_not_read(folder, verdict_on):
    """Readers of zip files take its length from the file, whatever it says."""
    content = bytearray(as_zip(HARMLESS))
    content[-10:-6] = (1 << 30).to_bytes(4, "little")
    folder.write("model.skops", bytes(content))
    assert verdict_on(folder).outcome is not Outcome.PASSED


def test_a_pickle_that_claims_a_huge_text_takes_no_memory_for_it(folder, verdict_on):
    folder.write("model.pkl", b"\x80\x04\x8e" + (1 << 45).to_bytes(8, "little") + b"x.")
    assert verdict_on(folder).reason == "safety.broken"


NAMES = ["../escape", "/etc/passwd", "a/../../b", "..\\escape"]


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_outside_of_its_archive_fails(name, folder, verdict_on):
    folder.write("model.skops", as_zip(HARMLESS, name))
    assert verdict_on(folder).outcome is Outcome.FAILED


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_fails(folder, verdict_on):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner", HARMLESS)
        archive.writestr("inner", HARMLESS)
    folder.write("model.skops", buffer.getvalue())
    assert verdict_on(folder).outcome is Outcome.FAILED


def test_a_wrong_checksum_fails(folder, verdict_on):
    content = as_zip(b"1234567890")
    folder.write("model.skops", content.replace(b"1234567890", b"1234567891"))
    assert verdict_on(folder).reason == "safety.broken"


def test_an_encrypted_entry_is_not_known_to_be_safe(folder, verdict_on):
    content = bytearray(as_zip(HARMLESS))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    folder.write("model.skops", bytes(content))
    assert verdict_on(folder).reason == "safety.unknown_format"


@pytest.mark.parametrize("size", [3, -1, 10**18])
def test_an_array_of_another_size_than_it_says_fails(size, folder, verdict_on):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (size,)})
    folder.write("array.npy", buffer.getvalue() + bytes(16))
    assert verdict_on(folder).reason == "safety.broken"
