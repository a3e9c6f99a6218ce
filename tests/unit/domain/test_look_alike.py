"""What MySQL's collations take for the same is known as such, and ordinary names are not."""

from __future__ import annotations

import pytest

from lifecycle.domain.look_alike import alike, starts_alike
from lifecycle.domain.policy import ModelPolicy, PolicyBook


@pytest.mark.parametrize(
    "text",
    [
        *("champion", "Champion", "CHAMPION", "champion  ", "chàmpion", "ćhãmpïôñ", "chämpiøn", "champ\u0131on"),
        *("\uff43hampion", "\U0001d41champion", "cha\u0301mpion", "ĉ\u0323hampion"),
    ],
)
def test_letter_case_accents_width_and_spaces_at_the_end_make_no_difference(text):
    assert alike(text, "champion")
    assert alike("champion", text)
    assert starts_alike(f"{text.rstrip()}.x", "champion.")


@pytest.mark.parametrize(
    "text", ["", "champio", "champions", " champion", "shampion", "чемпион", "チャンピオンです", "冠軍"]
)
def test_other_names_are_others(text):
    assert not alike(text, "champion")


@pytest.mark.parametrize(("one", "other"), [("Süd", "sad"), ("modèle", "modula"), ("ærø", "beero")])
def test_an_accent_is_not_any_letter(one, other):
    assert not alike(one, other)


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
    assert alike(odd, plain)
    assert alike(plain, odd)
    assert starts_alike(f"{odd}.x", f"{plain}.")


def test_names_of_any_length_are_compared_in_no_time_to_speak_of():
    assert not alike("ø" * 255, "ø" * 120 + "x")
    assert not starts_alike("ø" * 255, "lifecycle.")


def test_an_entry_of_exactly_that_name_goes_first():
    lower, upper, default = (ModelPolicy((), reference=name) for name in ("lower", "upper", "default"))
    book = PolicyBook(default, {"Wine": upper, "wine": lower})
    assert [book.of(name) for name in ("wine", "Wine")] == [lower, upper]
    assert book.of("beer") is default
