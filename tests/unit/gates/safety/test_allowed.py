"""The list that ships with the gate."""

import _compat_pickle
import importlib
import inspect

import pytest
from pydantic import ValidationError

from lifecycle.gates.safety import SafetyGate
from lifecycle.gates.safety.rules import DEFAULT, EXACT_NAME, allow_list

ALLOWED = allow_list()
HARM = {
    "os",
    "sys",
    "subprocess",
    "importlib",
    "builtins",
    "ctypes",
    "pickle",
    "shutil",
    "socket",
    "runpy",
    "code",
}


def test_every_name_is_exact_and_stands_once():
    names = [
        f"{line.partition(': ')[0]}.{name}"
        for line in DEFAULT.read_text().splitlines()
        if line and line[0] not in "#["
        for name in line.partition(": ")[2].split()
    ]
    assert [name for name in names if not EXACT_NAME.fullmatch(name)] == []
    assert len(names) == len(set(names)) == len(ALLOWED.called | ALLOWED.named)
    assert len(ALLOWED.called) > 400


def test_nothing_on_it_belongs_to_a_module_that_can_do_harm():
    plain = {
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
    }
    plain |= {"set", "slice", "str", "tuple"}
    names = ALLOWED.called | ALLOWED.named
    assert {name.partition(".")[2] for name in names if name.startswith("builtins.")} == plain
    assert {name for name in names if name.partition(".")[0] in HARM - {"builtins"}} == set()


def test_no_name_means_another_one_in_an_old_pickle():
    """The unpickler reads names of Python 2 as those of Python 3; no name on the list is one."""
    modules = {name.rpartition(".")[0] for name in ALLOWED.called | ALLOWED.named}
    assert modules & set(_compat_pickle.IMPORT_MAPPING) == set()
    assert {".".join(pair) for pair in _compat_pickle.NAME_MAPPING} & (ALLOWED.called | ALLOWED.named) == set()


@pytest.mark.parametrize(
    "name", ["sklearn.*", "sklearn", "sklearn.base.", "a b.c", "os.system()", "", "a..b", "a:b"]
)
def test_an_operator_can_allow_exact_names_only(name):
    with pytest.raises(ValidationError, match="exact name"):
        SafetyGate.Options(allow=[name])


@pytest.mark.slow  # imports all of scikit-learn
def test_every_estimator_that_scikit_learn_has_is_on_it():
    from sklearn.utils import all_estimators

    names = [f"{cls.__module__}.{cls.__name__}" for _, cls in all_estimators()]
    assert len(names) > 150
    assert [name for name in names if not ALLOWED.may_call(name)] == []


TENSORS = {"_rebuild_parameter", "_rebuild_tensor_v2"}
"""What torch's own reading of weights calls, too: ``torch.load(weights_only=True)``."""


@pytest.mark.slow  # imports all of scikit-learn
@pytest.mark.filterwarnings("ignore")
def test_what_may_be_called_is_a_class_or_a_known_constructor():
    constructors = {"_reconstruct", "scalar", "_frombuffer", "_mareconstruct", "newObj", *TENSORS}
    odd = []
    for name in sorted(ALLOWED.called):
        found = _import(name)
        last = name.rpartition(".")[2]
        if found is not None and not isinstance(found, type):
            odd += [] if last in constructors or last.startswith("__") else [name]
    assert odd == []


@pytest.mark.slow  # imports all of scikit-learn
@pytest.mark.filterwarnings("ignore")
def test_no_class_on_it_runs_text_on_being_restored():
    """As scipy's distributions do, in __setstate__."""
    for name in sorted(ALLOWED.called):
        found = _import(name)
        for method in ("__setstate__", "__new__", "__init__", "__reduce__", "__del__"):
            source = _source(getattr(found, method, None))
            assert not any(word in source for word in ("exec(", "eval(", "import_module", "__import__")), name


def _import(name):
    """What the name stands for here; None where this version of the library has no such thing."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last, None)
    except ImportError:
        return None


def _source(function):
    try:
        return inspect.getsource(function)
    except (TypeError, OSError):
        return ""
