from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, Json

from lifecycle.errors import OptionError
from lifecycle.targets.contract import TargetOptions


class Options(TargetOptions):
    where: str = Field(description="where to put it")
    port: int = Field(8080, ge=0, description="TCP port")
    share: float = 0.5
    fast: bool = False
    kind: Literal["a", "b"] = "a"
    keep: Json[list[str]] = Field(default=[])


def test_strings_become_values_of_the_declared_types():
    options = Options.parse(
        {"where": "x", "port": "80", "share": "1e-3", "fast": "on", "kind": "b", "keep": '["c", "d"]'}
    )
    assert options == Options(where="x", port=80, share=0.001, fast=True, kind="b", keep='["c", "d"]')
    assert (options.port, options.share, options.fast, options.keep) == (80, 0.001, True, ["c", "d"])


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "on"])
def test_yes_in_every_spelling(text):
    assert Options.parse({"where": "x", "fast": text}).fast is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_no_in_every_spelling(text):
    assert Options.parse({"where": "x", "fast": text}).fast is False


def test_an_unknown_key_is_answered_with_the_nearest_and_all_known_ones():
    with pytest.raises(
        OptionError, match=r"^unknown option 'prot'; did you mean 'port'\? Known: fast, keep, kind, "
    ):
        Options.parse({"where": "x", "prot": "80"})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("port", "http"),
        ("port", "1.5"),
        ("port", "-1"),
        ("share", "nan"),
        ("share", "inf"),
        ("fast", "maybe"),
        ("kind", "c"),
        ("keep", "[1"),
        ("keep", '{"a": 1}'),
    ],
)
def test_an_unusable_value_names_its_key_in_one_line_and_does_not_repeat_the_value(key, text):
    with pytest.raises(OptionError, match=rf"^option '{key}': ") as caught:
        Options.parse({"where": "x", key: text})
    assert "\n" not in str(caught.value)


def test_a_required_key_that_is_missing_is_named():
    with pytest.raises(OptionError, match="option 'where': it is required"):
        Options.parse({})


def test_the_help_lists_every_option_with_what_it_means_and_its_default():
    assert Options.describe().splitlines()[:2] == [
        "  -C where=…  where to put it (required)",
        "  -C port=…  TCP port (default: 8080)",
    ]
