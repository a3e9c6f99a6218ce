"""Whatever the real unpickler imports and calls has been foreseen, for any sequence of opcodes at all."""

import pickle
import pickletools
import struct
from io import BufferedReader, BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.gates.safety.pickle_analysis import analyse_pickle
from tests.proof import rounds


def text(value):
    return b"\x8c" + bytes([len(value)]) + value


PARTS = [
    # Names, and parts of names that are put together later
    *(text(word) for word in (b"os", b"system", b"numpy", b"a.b", b"")),
    b"cos\nsystem\n",
    b"cnumpy\nfloat64\n",
    b"c a\nb c\n",
    b"ios\nsystem\n",
    b"\x93",
    b"Vos\n",
    b"V\\u006fs\n",
    b"S'os'\n",
    b"U\x02os",
    b"X" + struct.pack("<I", 2) + b"os",
    b"\x8d" + struct.pack("<Q", 2) + b"os",
    # The memo, in every spelling, with numbers that meet and numbers that do not
    b"\x94",
    *(op + bytes([number]) for op in (b"q", b"h") for number in (0, 1, 2, 5)),
    *(op + struct.pack("<I", number) for op in (b"r", b"j") for number in (0, 3, 300)),
    *(op + line for op in (b"p", b"g") for line in (b"0\n", b" 1\n", b"+2\n", b"0_3\n", b"-1\n", b"x\n", b"\n")),
    # Numbers and lines that pickletools refuses
    *(b"I" + line for line in (b"1\n", b"0x10\n", b" 7 \n", b"01\n", b"x\n", b"\n")),
    *(b"L" + line for line in (b"1\n", b"12L\n", b"0x1\n")),
    b"F1\n",
    b"F 1.5 \n",
    # Everything without an argument
    *(
        info.code.encode("latin-1")
        for info in pickletools.opcodes
        if info.arg is None and info.name != "STACK_GLOBAL"
    ),
    b"\x80\x02",
    b"\x80\x04",
    b"\x80\x06",
    *(b"\x95" + struct.pack("<Q", length) for length in (1, 4, 20, 40)),
    b"K\x01",
    b"M\x01\x00",
    b"J\x01\x00\x00\x00",
    b"\x8a\x01\x01",
    b"\x8b\x01\x00\x00\x00\x01",
    b"C\x01x",
    b"B\x01\x00\x00\x00x",
    b"\x8e" + struct.pack("<Q", 1) + b"x",
    b"\x96" + struct.pack("<Q", 1) + b"x",
    b"Pan id\n",
    b"\x82\x01",
    b"T\xff\xff\xff\xff",
    b"\xff",
]
TAILS = [b"", b".", b"cos\nsystem\n)R.", b"(tR.", b")\x81.", b"0.", text(b"os") + text(b"system") + b"\x93)R."]


class Notes:
    """Notes what is imported and called, and does neither."""

    def __init__(self, file):
        super().__init__(file)
        self.names, self.calls = set(), set()

    def find_class(self, module, name):
        notes, full = self, f"{module}.{name}"

        class Inert:
            def __new__(cls, *_, **__):
                notes.calls.add(full)
                return object.__new__(cls)

            def __init__(self, *_, **__):
                pass

            def __setstate__(self, _):
                pass

            def __hash__(self):
                return 0

        self.names.add(full)
        return Inert

    def persistent_load(self, _):
        return "an object"


class FastNotes(Notes, pickle.Unpickler):
    """By the unpickler in C, which most use."""


class SlowNotes(Notes, pickle._Unpickler):
    """By the unpickler in Python, which joblib uses."""


def opened(source):
    """Unpicklers that read in different ways: in one piece, or line by line and number by number."""
    whole = BufferedReader(BytesIO(source))  # lets itself be looked into, as a file does
    return FastNotes(whole), FastNotes(BytesIO(source)), SlowNotes(BytesIO(source))


def comes_to_its_end(unpickler):
    try:
        unpickler.load()
    except Exception:  # of any kind: inert objects do not take everything
        return False
    return True


@pytest.mark.slow  # many examples
@settings(max_examples=rounds(1500, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PARTS), max_size=25), st.sampled_from(TAILS))
def test_no_import_and_no_call_is_overlooked(parts, tail):
    source = b"".join(parts) + tail
    doings = analyse_pickle(BytesIO(source), len(source))
    for unpickler in opened(source):
        ended = comes_to_its_end(unpickler)
        if any("frame" in phrase for phrase in doings.oddities):
            assert doings.acts, "it may do anything, and counts as if it did"
            continue
        unknown = {name for name in unpickler.names if any("name to import" in odd for odd in doings.oddities)}
        assert unpickler.names <= doings.names | unknown
        assert unpickler.calls <= doings.calls | unknown
        assert not unpickler.calls or doings.acts
        assert not (ended and doings.broken)


@settings(max_examples=rounds(500, 100), deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_it(source):
    assert analyse_pickle(BytesIO(source), len(source)).length <= len(source)


def test_an_argument_that_reaches_out_of_its_frame_is_refused(folder, verdict_on):
    """The unpickler in C forgets the frame's rest: here it takes entry 0 of its memo, and not entry 10."""
    source = b"\x80\x04" + text(b"os") + b"q\x000" + text(b"numpy") + b"q\x0a0"
    source += b"\x95" + struct.pack("<Q", 2) + b"g10\n" + text(b"getcwd") + b"\x93)R."

    class Named(pickle.Unpickler):
        def find_class(self, module, name):
            assert (module, name) == ("os", "getcwd")
            return str

    assert Named(BytesIO(source)).load() == ""
    folder.write("model.pkl", source)
    verdict = verdict_on(folder, allow=["numpy.getcwd"])
    assert verdict.reason == "safety.not_allowed"
    assert "frame" in verdict.message
