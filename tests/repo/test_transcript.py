"""The transcript in the README: in its place, whole, and of a demo that saw everything."""

import pytest

from tests.repo import tree
from tools.transcript import BEGIN, END, with_transcript


def test_only_the_transcript_is_replaced() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n```console\n$ x\n```\n"
    assert with_transcript(page, "new\n\n") == page.replace("old", "new")


def test_a_page_without_a_place_is_left_alone() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        with_transcript("nothing here", "new")


def test_the_readme_shows_a_demo_that_saw_everything() -> None:
    page = (tree.ROOT / "README.md").read_text()
    begin = page.index(BEGIN) + len(BEGIN)
    shown = page[begin : page.index(END, begin)]
    last = shown.strip().splitlines()[-1]
    seen, of = last.split(" seen ")[0].split(" of ")
    assert seen == of
    assert "✗" not in shown
