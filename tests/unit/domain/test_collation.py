"""Names that a collation such as MySQL's finds equal to a guarded one are recognised, ordinary ones are not."""

from __future__ import annotations

import pytest

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.domain.text import may_be_equal, may_start_with


@pytest.mark.parametrize(
    "text",
    [
        *("champion", "Champion", "CHAMPION", "champion  ", "chàmpion", "ćhãmpïôñ", "chämpiøn", "champ\u0131on"),
        *("\uff43hampion", "\U0001d41champion", "cha\u0301mpion", "ĉ\u0323hampion"),
    ],
)
def test_letter_case_accents_width_and_spaces_at_the_end_make_no_difference(text):
    assert may_be_equal(text, "champion")
    assert may_start_with(f"{text.rstrip()}.x", "champion.")


@pytest.mark.parametrize(
    "text", ["", "champio", "champions", " champion", "shampion", "чемпион", "チャンピオンです", "冠軍"]
)
def test_other_names_are_others(text):
    assert not may_be_equal(text, "champion")


@pytest.mark.parametrize(("name", "guarded"), [("Süd", "sad"), ("modèle", "modula"), ("ærø", "beero")])
def test_an_accent_is_not_any_letter(name, guarded):
    assert not may_be_equal(name, guarded)


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        *(("straße", "STRASSE"), ("straße", "strase"), ("\ufb01sh", "fish"), ("cæsar", "caesar")),
        *(("b\ua74fk", "book"), ("wine\u0663", "wine3"), ("wine\u096b", "wine5"), ("para\u0140el", "paralel")),
        *(
            ("champion\u0640", "champion"),
            ("\u0640champion", "champion"),
            ("cham\ufc5epion", "champion"),
            ("\u0640" * 99 + "x", "x"),
        ),
    ],
)
def test_letters_that_stand_for_two_or_none_and_other_digits(odd, plain):
    assert may_be_equal(odd, plain)
    assert may_start_with(f"{odd}.x", f"{plain}.")


def test_names_of_any_length_are_compared_in_no_time_to_speak_of():
    assert not may_be_equal("ø" * 255, "champion." * 20)
    assert not may_start_with("ø" * 255, "lifecycle.")


@pytest.mark.parametrize(
    "key", ["über.history", "データ.品質.履歴.データ", "жизненный.цикл", "🎉🎉🎉🎉🎉.x", "résumé", "lifetime"]
)
def test_ordinary_tags_in_any_script_are_not_reserved(key):
    assert not may_start_with(key, "lifecycle.")


def test_an_entry_of_exactly_that_name_goes_first():
    lower, upper, default = (ModelPolicy((), reference=name) for name in ("lower", "upper", "default"))
    book = PolicyBook(default, {"Wine": upper, "wine": lower})
    assert [book.of(name) for name in ("wine", "Wine")] == [lower, upper]
    assert book.of("beer") is default
