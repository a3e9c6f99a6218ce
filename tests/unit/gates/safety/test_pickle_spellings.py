"""One harmful call, spelled in every way that the unpickler reads: none passes, and none runs while judged."""

import pickle
import struct

import pytest

from lifecycle.domain.verdict import Outcome

SYSTEM = b"cos\nsystem\n"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def call(function, *arguments):
    return function + b"(" + b"".join(arguments) + b"tR"


def forgotten(pushes):
    return pushes + b"0"


def spellings(canary):
    """Each of these touches the canary when it is unpickled."""
    line = f"touch {canary}".encode()
    shell, code = text(line), text(f"open({str(canary)!r}, 'w').close()".encode())
    v2, v4, v5 = b"\x80\x02", b"\x80\x04", b"\x80\x05"
    harm = call(SYSTEM, shell)
    in_memo = forgotten(text(b"os") + b"q\x07") + forgotten(text(b"system") + b"r\x08\x00\x00\x00")
    in_text_memo = forgotten(text(b"os") + b"p 1_0\n") + forgotten(text(b"system") + b"p+11\n")
    replaced = forgotten(text(b"collections") + b"q\x01") + forgotten(text(b"os") + b"\x94")  # MEMOIZE takes 1
    long_name = b"\x8d" + struct.pack("<Q", 2) + b"os" + b"\x8d" + struct.pack("<Q", 6) + b"system\x93"
    return {
        "protocol 0": b"cos\nsystem\n(S'" + line + b"'\ntR.",
        "protocol 2": v2 + harm + b".",
        "protocol 5": v5 + harm + b".",
        "the module behind os": call(b"cposix\nsystem\n", shell) + b".",
        "a name of Python 2": v2 + call(b"c__builtin__\neval\n", code) + b".",
        "INST": b"(" + shell + b"ios\nsystem\n.",
        "OBJ": b"(" + SYSTEM + shell + b"o.",
        "STACK_GLOBAL": v4 + call(text(b"os") + text(b"system") + b"\x93", shell) + b".",
        "UNICODE with escapes": v4 + call(b"Vo\\u0073\nVsyst\\u0065m\n\x93", shell) + b".",
        "SHORT_BINUNICODE": v4 + call(b"\x8c\x02os\x8c\x06system\x93", shell) + b".",
        "BINUNICODE8": v4 + call(long_name, shell) + b".",
        "STRING": v4 + call(b"S'os'\nS'system'\n\x93", shell) + b".",
        "BINSTRING": v4 + call(b"U\x02osU\x06system\x93", shell) + b".",
        "the memo": v4 + in_memo + call(b"h\x07h\x08\x93", shell) + b".",
        "the memo, numbered by texts": v4 + in_text_memo + call(b"g10\ng11\n\x93", shell) + b".",
        "the memo, replaced": v4 + replaced + call(b"h\x01" + text(b"system") + b"\x93", shell) + b".",
        "a dotted name": v4 + call(text(b"os") + text(b"system.__call__") + b"\x93", shell) + b".",
        "a dotted name in a listed module": v4
        + call(text(b"numpy.ma.core") + text(b"builtins.eval") + b"\x93", code)
        + b".",
        "DUP": call(SYSTEM + b"2", shell) + b".",
        "marks in between": b"(1((0" + harm + b".",
        "a FRAME that lies": v4 + b"\x95" + struct.pack("<Q", 3) + harm + b".",
        "an object around it": b"}" + text(b"weights") + harm + b"s.",
        "no end": harm,
        "no pickle behind it": harm + b"\xff\xff",
        "an underflow behind it": harm + b"000000.",
        "half a line behind it": harm + b"I1",
        "a missing memo behind it": harm + b"h\x63.",
        "numbers before it that pickletools refuses": b"I0x10\n0I 7\n0L12\n0" + harm + b".",
        "a long text before it": forgotten(text(b"a" * 100_000)) + harm + b".",
        "many marks before it": b"(1" * 100_000 + harm + b".",
        "another pickle before it": pickle.dumps([1]) + v4 + harm + b".",
    }


HARMLESS_ALONE = {"another pickle before it"}  # pickle.load stops at the first; who loads on runs the second


@pytest.fixture
def spelling(request, canary):
    return spellings(canary)[request.param]


every_spelling = pytest.mark.parametrize("spelling", spellings("x"), indirect=True)


@every_spelling
@pytest.mark.parametrize("name", ["model.pkl", "notes.txt"])
def test_no_spelling_passes_or_runs(spelling, name, folder, verdict_on, canary):
    folder.write(name, spelling)
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.FAILED, verdict.message
    assert name in verdict.message
    assert not canary.exists()


@pytest.mark.parametrize(
    "spelling", [name for name in spellings("x") if name not in HARMLESS_ALONE], indirect=True
)
def test_each_of_them_would_have_run(spelling, canary):
    """Or these tests would prove nothing."""
    try:
        pickle.loads(spelling)  # noqa: S301  # made above
    except Exception:
        assert canary.exists()
    assert canary.exists()


# Pickles of nothing but what is on the list, that do more than build a model.


def stacked(module, name):
    return text(module.encode()) + text(name.encode()) + b"\x93"


BUNCH = call(stacked("sklearn.utils._bunch", "Bunch"))
ODD = {
    "sets an attribute of a class": stacked("sklearn.pipeline", "Pipeline") + b"N}" + text(b"fit") + b"Ns\x86b.",
    "puts an item into a class": stacked("sklearn.pipeline", "Pipeline") + b"K\x01K\x02s.",
    "calls append of an object": BUNCH + text(b"append") + stacked("numpy", "log1p") + b"s" + b"K\x01a.",
    "calls extend of an object": BUNCH + text(b"extend") + stacked("numpy", "log1p") + b"s" + b"(K\x01e.",
    "calls add of an object": BUNCH + text(b"add") + stacked("numpy", "log1p") + b"s" + b"(K\x01\x90.",
    "calls what it made": call(call(stacked("sklearn.gaussian_process.kernels", "RBF")), b"N") + b".",
    "calls what may only be named": call(stacked("numpy", "log1p"), b"K\x01") + b".",
    "creates what may only be named": stacked("numpy", "log1p") + b")\x81.",
    "names put together": b"U\x05numpyU\x07float64\x93.",
    "an extension code": b"\x82\x01.",
    "a persistent id": b"PI am yours\n.",
    "a persistent id from the stack": b"K\x01Q.",
    "a second pickle": b"N.\x80\x04N.",
    "nothing at all": b".",
    "no object at its end": b"N0.",
    "a dunder of a class": stacked("sklearn.pipeline", "Pipeline.__init__") + b".",
    "a dunder of a module": stacked("numpy", "__builtins__") + b".",
    "an unlisted function of a listed module": stacked("sklearn.utils._bunch", "warnings") + b".",
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_on_the_list_may_only_build_a_model(odd, folder, verdict_on):
    folder.write("model.pkl", b"\x80\x04" + ODD[odd])
    assert verdict_on(folder).outcome is Outcome.FAILED


def test_the_real_unpickler_takes_them_apart_in_the_same_way():
    """What is remembered under which number decides which name is imported."""
    from io import BytesIO

    from lifecycle.gates.safety.pickle_analysis import analyse_pickle

    source = (
        b"\x80\x04"
        + forgotten(text(b"a") + b"\x94")  # 0
        + forgotten(text(b"b") + b"q\x03")  # 3, beyond
        + forgotten(text(b"c") + b"\x94")  # 2: two entries are there
        + forgotten(text(b"datetime") + b"\x94")  # 3 again, replaced
        + b"h\x03"
        + text(b"date")
        + b"\x93."
    )
    assert pickle.loads(source).__name__ == "date"  # noqa: S301  # made above
    assert analyse_pickle(BytesIO(source), len(source)).names == {"datetime.date"}


@pytest.mark.parametrize(
    "words",
    [
        "channels:\n- conda-forge\n",
        "carrier\norigin\ndest\n",
        "import os\nsystem\n",
        "(1, 2)\n",
        "N.\n",
        "}\n.",
        "Predicts delays.\n\ncsv\nfiles\n.",
        "",
    ],
)
def test_a_text_is_no_pickle(words, folder, verdict_on):
    folder.write("notes.txt", words)
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message
