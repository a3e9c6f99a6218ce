import sys
from textwrap import dedent

import pytest

from lifecycle.domain.policy import GateSpec
from lifecycle.errors import ConfigError, Conflict, NotFound, Unavailable, UsageError
from lifecycle.gates.contract import GATES, gate_class, load_gate


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
    assert name in GATES.names()


def test_an_unknown_gate_is_answered_with_the_nearest_and_all_known_ones():
    with pytest.raises(NotFound, match=r"unknown gate 'drfit'; did you mean 'drift'\? Known: .*signature"):
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
            def evaluate(self, subject):
                ...
        """,
    )
    assert "fairness" in GATES.names()
    assert load_gate(GateSpec("fairness", {"group": "origin"})).options.group == "origin"
    with pytest.raises(ConfigError, match="gate 'fairness': unknown option 'grup'; did you mean 'group'"):
        load_gate(GateSpec("fairness", {"grup": "origin", "group": "dest"}))


def test_a_name_that_two_packages_claim_is_refused(install):
    install(["drift = acme_gates:Drift"])
    with pytest.raises(Conflict, match=r"'drift' is registered twice: acme_gates:Drift, lifecycle\.gates\.drift"):
        gate_class("drift")


@pytest.mark.parametrize("code", ["import not_installed_anywhere", ""])
def test_a_gate_that_cannot_be_imported_says_which_package_to_install(install, code):
    install(["broken = acme_gates:Broken"], code=code)
    with pytest.raises(Unavailable, match=r"gate 'broken' cannot be imported.*pip install .*acme-gates"):
        gate_class("broken")


WELL_FORMED = """
    from lifecycle.gates.contract import GateOptions

    class Freshness:
        name = "freshness"
        Options = GateOptions
        def __init__(self, options):
            self.options = options
        def evaluate(self, subject):
            ...
        def explain(self, subject, verdict):
            return ()
"""


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ('name = "freshness"', 'name = "fresh"', "has the name 'fresh'; it must be 'freshness'"),
        ('name = "freshness"', "", "has the name None"),
        ("Options = GateOptions", "", "no class Options that derives from GateOptions"),
        ("Options = GateOptions", "Options = dict", "no class Options that derives from GateOptions"),
        ("(self, options)", "(self, options, home)", "cannot be constructed with its options alone"),
        ("def evaluate(self, subject)", "def judge(self, subject)", r"no method evaluate\(subject\)"),
        ("def evaluate(self, subject)", "def evaluate(self)", r"no method evaluate\(subject\)"),
        ("(self, subject, verdict)", "(self, subject)", r"explain that does not take \(subject, verdict\)"),
        ("Options = GateOptions", "Options, before_loading = GateOptions, 'no'", "neither True nor False"),
    ],
)
def test_a_gate_of_another_shape_is_refused_when_it_is_found(install, written, instead, words):
    install(["freshness = acme_gates:Freshness"], code=WELL_FORMED.replace(written, instead))
    with pytest.raises(
        UsageError, match=rf"gate 'freshness'.*acme_gates:Freshness .*{words}.*acme-gates.*Known: .*drift"
    ):
        load_gate(GateSpec("freshness"))


def test_a_gate_that_declares_nothing_more_than_it_must_is_taken(install):
    install(["freshness = acme_gates:Freshness"], code=WELL_FORMED)
    assert load_gate(GateSpec("freshness")).name == "freshness"


def test_what_is_no_class_at_all_is_refused(install):
    install(["freshness = acme_gates:freshness"], code="freshness = 1")
    with pytest.raises(UsageError, match="acme_gates:freshness is not a class"):
        gate_class("freshness")


def test_a_policy_with_a_gate_that_cannot_be_had_is_a_config_error_that_names_the_file(tmp_path, monkeypatch):
    from lifecycle.assembly import load_settings

    file = tmp_path / "lifecycle.yaml"
    file.write_text("models: {m: {stages: {staging: {stage: Staging, gates: [drfit]}}}}")
    with pytest.raises(ConfigError, match=r"lifecycle\.yaml: unknown gate 'drfit'; did you mean 'drift'"):
        load_settings(file)


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
