"""Harmless-looking functions that run what they are given: no pickle that names one passes, or runs."""

import ctypes
import functools
import importlib
import io
import marshal
import operator
import pathlib
import pickle
import pkgutil
import runpy
import subprocess
import timeit

import cloudpickle
import pytest

from lifecycle.domain.verdict import Outcome


class Call:
    """Unpickling one calls a function, which may itself be what a call gave."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):
        raise NotImplementedError


class WithState:
    """Unpickling one creates an object and sets its state."""

    def __init__(self, kind, state):
        self.kind, self.state = kind, state

    def __reduce__(self):
        return self.kind, (), self.state


def plain_gadgets(canary):
    """Calls of the standard library, each of which touches the canary."""
    import concurrent.futures.process
    import multiprocessing.pool
    import os

    shell, words = f"touch {canary}", ["touch", str(canary)]
    code = f"open({str(canary)!r}, 'w').close()"
    os_module = Call(__import__, "os")
    compiled = marshal.dumps(compile(code, "x", "exec"))
    return {
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "exec of marshalled code": Call(exec, Call(marshal.loads, compiled)),
        "map": Call(list, Call(map, os.system, [shell])),
        "filter": Call(list, Call(filter, os.system, [shell])),
        "getattr": Call(Call(getattr, os_module, "system"), shell),
        "importlib.import_module": Call(Call(getattr, Call(importlib.import_module, "os"), "system"), shell),
        "pkgutil.resolve_name": Call(Call(pkgutil.resolve_name, "os:system"), shell),
        "operator.methodcaller": Call(operator.methodcaller("system", shell), os_module),
        "operator.attrgetter": Call(Call(operator.attrgetter("system"), os_module), shell),
        "functools.partial": Call(functools.partial(os.system, shell)),
        "functools.reduce": Call(functools.reduce, eval, [code, {}]),
        "subprocess.call": Call(subprocess.call, words),
        "subprocess.getoutput": Call(subprocess.getoutput, shell),
        "io.open": Call(io.open, str(canary), "w"),
        "a method of a path": Call(pathlib.Path.touch, pathlib.PosixPath(canary)),
        "ctypes": Call(Call(getattr, Call(ctypes.CDLL, None), "system"), shell.encode()),
        "multiprocessing": Call(multiprocessing.pool.mapstar, (os.system, [shell])),
        "concurrent.futures": Call(concurrent.futures.process._process_chunk, os.system, [(shell,)]),
        "timeit": Call(timeit.timeit, code, "pass", timeit.default_timer, 1),
        "runpy": Call(runpy._run_code, Call(compile, code, "x", "exec"), {}),
        "pickle.loads": Call(pickle.loads, pickle.dumps(Call(os.system, shell))),
        "os.popen": Call(Call(getattr, Call(os.popen, shell), "read")),
    }


def library_gadgets(canary, folder):
    """Calls of the libraries that every model needs, each of which touches the canary."""
    import os

    import joblib
    import numpy as np
    import pandas as pd
    from numpy.core import _ufunc_reconstruct
    from numpy.testing._private.utils import runstring
    from scipy.stats import rv_continuous
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.utils.parallel import _FuncWrapper

    shell = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    inner = folder / "inner.pkl"
    inner.write_bytes(pickle.dumps(Call(os.system, shell)))
    array = folder / "inner.npy"
    np.save(array, np.array([Call(os.system, shell)], dtype=object), allow_pickle=True)
    return {
        "numpy.testing runstring": Call(runstring, code, {}),
        "numpy's old ufunc reconstructor": Call(Call(_ufunc_reconstruct, "os", "system"), shell),
        "numpy.vectorize": Call(Call(np.vectorize, os.system, ["l"]), shell),
        "numpy.load": Call(np.load, str(array), None, True),
        "numpy.fromiter": Call(np.fromiter, Call(map, os.system, [shell]), int),
        "pandas.read_pickle": Call(pd.read_pickle, str(inner)),
        "joblib.load": Call(joblib.load, str(inner)),
        "scipy.stats, whose state is code": WithState(rv_continuous, {"_parse_arg_template": code}),
        "sklearn, calling": Call(Call(_FuncWrapper, os.system), shell),
        "sklearn, by a method of a listed class": Call(
            FunctionTransformer._transform, FunctionTransformer(), shell, os.system
        ),
        "a lambda by cloudpickle": Call(lambda: pathlib.Path(canary).touch()),
    }


PLAIN, LIBRARIES = (
    plain_gadgets("x"),
    [
        "numpy.testing runstring",
        "numpy's old ufunc reconstructor",
        "numpy.vectorize",
        "numpy.load",
        "numpy.fromiter",
        "pandas.read_pickle",
        "joblib.load",
        "scipy.stats, whose state is code",
        "sklearn, calling",
        "sklearn, by a method of a listed class",
        "a lambda by cloudpickle",
    ],
)


@pytest.fixture
def plain(request, canary):
    return pickle.dumps(plain_gadgets(canary)[request.param])


@pytest.fixture
def of_a_library(request, canary, tmp_path):
    return cloudpickle.dumps(library_gadgets(canary, tmp_path)[request.param])


def would_run(payload, canary):
    try:
        pickle.loads(payload)  # noqa: S301  # made above
    except Exception:  # it breaks after it has run
        return canary.exists()
    return canary.exists()


@pytest.mark.parametrize("plain", PLAIN, indirect=True)
def test_no_gadget_passes_or_runs(plain, folder, verdict_on, canary):
    folder.write("model.pkl", plain)
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.not_allowed")
    assert not canary.exists()
    assert would_run(plain, canary), "or this test would prove nothing"


@pytest.mark.slow  # imports pandas, scipy and scikit-learn
@pytest.mark.parametrize("of_a_library", LIBRARIES, indirect=True)
@pytest.mark.filterwarnings("ignore")
def test_no_gadget_of_a_library_passes_or_runs(of_a_library, folder, verdict_on, canary):
    folder.write("model.pkl", of_a_library)
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.not_allowed")
    assert not canary.exists()
    assert would_run(of_a_library, canary), "or this test would prove nothing"


NAMES = [
    "torch.hub.load",
    "torch.load",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "mlflow.pyfunc.load_model",
    "mlflow.projects.run",
    "webbrowser.open",
    "code.interact",
    "pdb.run",
    "pip._internal.main",
    "shutil.rmtree",
    "types.CodeType",
    "sklearn.datasets._base.load_files",
    "sklearn.feature_extraction.text.open",
    "lifecycle.gates.safety.gate.SafetyGate",
    "numpy.distutils.exec_command.exec_command",
    "numpy.f2py.crackfortran.myeval",
    "numpy.memmap",
    "numpy._core._ufunc_reconstruct",
    "numpy.save",
    "scipy.stats._distn_infrastructure.rv_continuous",
    "sklearn.metrics._dist_metrics.PyFuncDistance64",
    "builtins.type",
    "builtins.compile",
    "builtins.open",
    "builtins.breakpoint",
    "collections.namedtuple",
    "sklearn.linear_model._logistic.LogisticRegressionX",
    "sklearn.linear_model",
    "sklearn",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_not_allowed_for_its_neighbours(name, folder, verdict_on):
    module, _, last = name.rpartition(".")
    folder.write("model.pkl", f"\x80\x02c{module}\n{last}\n)R.".encode("latin-1"))
    assert verdict_on(folder).reason == "safety.not_allowed"
