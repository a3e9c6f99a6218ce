"""Names and texts of others, made fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lifecycle.domain.text import markdown_text, printable

ANY = st.text(st.characters(exclude_categories=()))


def plain(markdown: str) -> bool:
    """Whether it is a paragraph of nothing but text, to a renderer that lets everything through."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(f"x {markdown} x")
    kinds = {token.type for token in tokens} | {child.type for token in tokens for child in token.children or ()}
    return kinds <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}


@given(ANY)
def test_any_text_becomes_one_line_that_can_be_written_and_steers_nothing(text):
    line = printable(text)
    assert line.encode("utf-8").decode("utf-8") == line
    assert "\n" not in line
    assert all(c.isprintable() or c in "\u200d\u200c" for c in line)


@pytest.mark.parametrize("text", ["dep_delay", "Größe in m²", "مسافة", "می‌خواهم", "距離", "👩‍👩‍👧", "a < b & c"])
def test_ordinary_names_of_any_language_stay_as_they_are(text):
    assert printable(text) == text


@given(ANY, st.integers(2, 20))
def test_a_text_is_no_longer_than_there_is_room(text, limit):
    assert len(printable(text, limit)) <= limit


def test_a_text_that_was_cut_says_so():
    assert printable("carrier = Somebody", 10) == "carrier =…"
    assert printable("carrier", 7) == "carrier"


@given(ANY)
def test_any_text_is_a_text_in_markdown(text):
    assert plain(markdown_text(text))


@pytest.mark.parametrize("text", ["a | b", "<b>", "&lt;", "*a* _b_ `c` ~~d~~", "[x](y)", "$x$", "@me #1", "a\\|b"])
def test_markdown_shows_the_text_that_was_given(text):
    cell = MarkdownIt("commonmark").enable("table").render(f"| h |\n| --- |\n| {markdown_text(text)} |\n")
    shown = cell.partition("<td>")[2].partition("</td>")[0]
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, character)
    assert shown == text


@pytest.mark.parametrize("text", ["https://evil.example/x", "see www.evil.example", "HTTP://EVIL.EXAMPLE"])
def test_an_address_becomes_no_link(text):
    assert "://" not in markdown_text(text)
    assert "www." not in markdown_text(text)
