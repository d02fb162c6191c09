"""The documentation: its links lead somewhere, and its `console` blocks do what they show."""

import re
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.repo import console, tree

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1", re.MULTILINE | re.DOTALL)


def prose(page: str) -> str:
    """The page without code blocks and code spans, where brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page))


def anchors(page: str) -> set[str]:
    """The names that its headings can be linked by."""
    headings = re.findall(r"^#+ +(.+?) *$", _FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(path: Path, root: Path = tree.ROOT) -> list[str]:
    page = path.read_text(encoding="utf-8")
    targets = [match["target"] for match in _LINK.finditer(prose(page))]
    return [target for target in targets if not _leads_somewhere(path, target, root)]


def _leads_somewhere(path: Path, target: str, root: Path) -> bool:
    if re.match(r"[a-z]+:", target):
        return True  # another site; nothing here asks the network
    file, _, anchor = target.partition("#")
    linked = (path.parent / file).resolve() if file else path
    if not linked.exists() or root not in linked.parents:
        return False
    return not anchor or anchor in anchors(linked.read_text(encoding="utf-8"))


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A Name\n[a](#a-name) [b](#b) [c](gone.md) [d](https://example.com) `[e](x)` [f](../f)\n"
    )
    assert dead_links(page, tmp_path) == ["#b", "gone.md", "../f"]


def test_links_lead_somewhere() -> None:
    dead = [f"{tree.name_of(path)}: {link}" for path in tree.pages() for link in dead_links(path)]
    assert dead == []


def test_each_console_block_says_whether_it_is_run() -> None:
    unmarked = [
        f"{tree.name_of(path)}:{block.line}"
        for path in tree.pages()
        for block in blocks(path)
        if block.order is None
    ]
    assert unmarked == [], (
        "say above it <!-- run --> or <!-- not run: why -->: tests/repo/console.py"
    )


def blocks(path: Path) -> list[console.Block]:
    return console.blocks(path.read_text(encoding="utf-8"))


def pages_that_run() -> list[ParameterSet]:
    """A page with one block that needs root is run as root, as a whole."""
    return [
        pytest.param(
            path, id=tree.name_of(path), marks=[pytest.mark.root] if needs_root(path) else []
        )
        for path in tree.pages()
        if any(block.is_run for block in blocks(path))
    ]


def needs_root(path: Path) -> bool:
    return any(block.has("root") for block in blocks(path))


@pytest.mark.cluster
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", pages_that_run())
def test_a_page_does_what_it_shows(path: Path) -> None:
    scripts = tree.ROOT / ".venv" / "bin"
    console.run_page([block for block in blocks(path) if block.is_run], str(scripts))
