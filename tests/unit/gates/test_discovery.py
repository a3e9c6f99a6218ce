import sys
from textwrap import dedent

import pytest

from lifecycle.domain.policy import GateSpec
from lifecycle.errors import ConfigError, UsageError
from lifecycle.gates.discovery import gate_class, gate_names, load_gate


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with gates on the path, as pip would."""

    def build(entries, package="acme-gates", module="acme_gates", code=""):
        site = tmp_path / package
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[lifecycle.gates]\n" + "\n".join(entries))
        (site / f"{module}.py").write_text(dedent(code))
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return build


@pytest.mark.parametrize("name", ["signature", "data_quality", "drift", "performance"])
def test_the_built_in_gates_are_found_by_name(name):
    assert gate_class(name).name == name
    assert name in gate_names()


def test_an_unknown_gate_is_answered_with_the_nearest_and_all_known_ones():
    with pytest.raises(ConfigError, match=r"unknown gate 'drfit'; did you mean 'drift'\? Known: .*signature"):
        gate_class("drfit")


def test_a_third_partys_gate_is_found_and_given_its_options(install):
    install(
        ["fairness = acme_gates:Fairness"],
        code="""
        from pydantic import Field
        from lifecycle.gates.contract import GateOptions

        class Options(GateOptions):
            group: str = Field(description="Column.")

        class Fairness:
            name = "fairness"
            Options = Options
            def __init__(self, options):
                self.options = options
        """,
    )
    assert "fairness" in gate_names()
    assert load_gate(GateSpec("fairness", {"group": "origin"})).options.group == "origin"
    with pytest.raises(ConfigError, match="gate 'fairness': unknown option 'grup'; did you mean 'group'"):
        load_gate(GateSpec("fairness", {"grup": "origin", "group": "dest"}))


def test_a_name_that_two_packages_claim_is_refused(install):
    install(["drift = acme_gates:Drift"])
    with pytest.raises(ConfigError, match=r"'drift' is claimed twice: acme_gates:Drift, lifecycle\.gates\.drift"):
        gate_class("drift")


@pytest.mark.parametrize("code", ["import not_installed_anywhere", ""])
def test_a_gate_that_cannot_be_imported_says_which_package_to_install(install, code):
    install(["broken = acme_gates:Broken"], code=code)
    with pytest.raises(UsageError, match=r"gate 'broken' cannot be imported.*pip install .*acme-gates"):
        gate_class("broken")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_rwos": 5}, "gate 'drift': unknown option 'min_rwos'; did you mean 'min_rows'?"),
        ({"min_rows": "hush"}, "gate 'drift': option 'min_rows': input should be a valid integer"),
        ({"max_drifted_share": 3, "seed": -1}, "option 'max_drifted_share'"),
        ({"max_drifted_share": 3, "seed": -1}, "option 'seed'"),
        ({"columns": []}, "option 'columns'"),
    ],
)
def test_wrong_options_name_gate_and_key_but_not_the_value(options, words):
    with pytest.raises(ConfigError) as refused:
        load_gate(GateSpec("drift", options))
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)
