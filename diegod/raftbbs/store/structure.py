"""How the pages of a store's file fit together, checked before LMDB maps them.

LMDB trusts its file: its pages have no checksums, and one wrong byte lets it abort, read beyond the
end, answer for another key, or hand out a page that is in use. So all of it is checked first:

* Both meta pages are what the last two transactions wrote. The later one counts, so a damaged one
  would bring back the state before without a word, with a vote or an entry forgotten. It shows,
  because the number of a transaction is in its own tree, too: as the last key of the free list.
* Each page of a tree says its own number and kind, its nodes fill it, its keys are in order and
  between those that lead to it, and the counts are right. So nothing is missing, and whatever a
  scan finds, a lookup finds.
* No page is used twice, or used and free. A page's earlier version, whole in itself, is free, and
  can't pass for the present one; and none that is needed is ever handed out.

Values are not looked at: their envelopes say whether they are whole (`verification`). Free pages
are not read.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from diegod.raftbbs.store.environment import DATA_FILE
from diegod.raftbbs.store.pages import (
    BIG_VALUE,
    BRANCH,
    INTEGER_KEYS,
    LEAF,
    NO_PAGE,
    TREE_VALUE,
    Meta,
    Page,
    PageFile,
    PagesDamaged,
    Tree,
    freed_pages,
    in_order,
    number_of,
    tree_of,
)

_DEPTH_MAX = 32
_META_PAGES = 2


@dataclass(frozen=True)
class Structure:
    """A file without fault: the transaction that it ends with, its pages, its tables."""

    transaction: int
    pages: int
    free_pages: tuple[int, ...]
    entries: dict[str, int] = field(default_factory=dict)
    """How many rows each table has."""


@dataclass(slots=True)
class _Counts:
    """What was met in a tree."""

    branch_pages: int = 0
    leaf_pages: int = 0
    overflow_pages: int = 0
    entries: int = 0


def check(folder: Path) -> Structure:
    """Check the store of a folder. Raises PagesDamaged, or OSError where it can't be read."""
    descriptor = os.open(folder / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        file = PageFile(descriptor)
        return _Walk(file, newest(file)).check()
    finally:
        os.close(descriptor)


def newest(file: PageFile) -> Meta:
    """The meta page that counts, if both are what the last two transactions wrote."""
    first, second = file.metas
    if second.free.page_bytes != file.page_bytes:
        raise PagesDamaged("the meta pages say different sizes of pages")
    numbers = first.transaction, second.transaction
    if abs(numbers[0] - numbers[1]) != 1 and numbers != (0, 0):
        raise PagesDamaged(f"the meta pages are of transactions {numbers[0]} and {numbers[1]}")
    for meta in file.metas:
        _check_transaction(file, meta)
    return max(first, second, key=lambda meta: meta.transaction)


def _check_transaction(file: PageFile, meta: Meta) -> None:
    """A transaction frees the pages that it replaces, under its number. Only a file's first one
    replaces none."""
    if meta.transaction & 1 != meta.number and meta.transaction:
        raise PagesDamaged(f"meta page {meta.number} says transaction {meta.transaction}")
    freed_last = _last_key(file, meta)
    if freed_last != meta.transaction and not (freed_last == 0 and meta.transaction <= 1):
        raise PagesDamaged(
            f"meta page {meta.number} says transaction {meta.transaction}, its tree {freed_last}"
        )


def _last_key(file: PageFile, meta: Meta) -> int:
    """The last transaction in a free list, 0 when it is empty."""
    number, depth = meta.free.root, meta.free.depth
    if number == NO_PAGE:
        return 0
    if not 0 < depth <= _DEPTH_MAX:
        raise PagesDamaged(f"the free list has depth {depth}")
    for _ in range(depth - 1):
        number = file.node_page(number, BRANCH).sizes[-1]
    return number_of(file.node_page(number, LEAF).keys[-1])


class _Walk:
    """One walk through all trees of a file. Each page is taken once."""

    def __init__(self, file: PageFile, meta: Meta) -> None:
        self._file = file
        self._meta = meta
        self._taken = bytearray(min(meta.last_page + 1, file.pages))
        self._beyond: set[int] = set()  # pages that are free and were never written

    def check(self) -> Structure:
        meta = self._meta
        self._take(0, _META_PAGES)
        freed: list[int] = []
        self._walk("free list", meta.free, lambda page: self._collect_freed(page, freed))
        tables: dict[str, Tree] = {}
        self._walk("list of tables", meta.main, lambda page: self._collect_tables(page, tables))
        for name, tree in tables.items():
            self._walk(f"table {name}", tree, _no_trees)
        for number in freed:
            self._take_freed(number)
        if len(self._taken) + len(self._beyond) != meta.last_page + 1:
            raise PagesDamaged(
                f"the file is cut short: it has {self._file.pages} pages and says that "
                f"{meta.last_page} is the last"
            )
        entries = {name: tree.entries for name, tree in tables.items()}
        return Structure(meta.transaction, meta.last_page + 1, tuple(freed), entries)

    def _take(self, number: int, count: int) -> None:
        """Mark pages as what they are: nobody else has them."""
        if number + count > len(self._taken):
            raise PagesDamaged(f"page {number} is beyond the last page of the file")
        if any(self._taken[number : number + count]):
            raise PagesDamaged(f"page {number} is used twice")
        self._taken[number : number + count] = b"\1" * count

    def _take_freed(self, number: int) -> None:
        if not len(self._taken) <= number <= self._meta.last_page:
            self._take(number, 1)
        elif number in self._beyond:
            raise PagesDamaged(f"page {number} is free twice")
        else:
            self._beyond.add(number)

    def _walk(self, name: str, tree: Tree, on_leaf: Callable[[Page], None]) -> None:
        """A whole tree, and whether its counts are right."""
        counts = _Counts()
        if tree.root != NO_PAGE:
            if not 0 < tree.depth <= _DEPTH_MAX:
                raise PagesDamaged(f"the {name} has depth {tree.depth}")
            _Branches(self, tree, counts, on_leaf).down(tree.root, 1, b"", None)
        elif tree.depth:
            raise PagesDamaged(f"the {name} has no pages and depth {tree.depth}")
        said = _Counts(tree.branch_pages, tree.leaf_pages, tree.overflow_pages, tree.entries)
        if counts != said:
            raise PagesDamaged(f"the {name} has {counts.entries} entries and says {said.entries}")

    def _collect_freed(self, page: Page, freed: list[int]) -> None:
        _no_trees(page)
        for position, flags in enumerate(page.flags):
            value = page.value(position)
            if flags & BIG_VALUE:
                value = self._file.big_value(page.value_page(position), page.sizes[position])
            freed.extend(freed_pages(value))

    def _collect_tables(self, page: Page, tables: dict[str, Tree]) -> None:
        for position, key in enumerate(page.keys):
            name = key.decode(errors="replace")
            tree = tree_of(page.value(position), name)
            if page.flags[position] != TREE_VALUE or tree.flags:
                raise PagesDamaged(f"the table {name} is of another kind")
            tables[name] = tree

    def node_page(self, number: int, kind: int) -> Page:
        self._take(number, 1)
        return self._file.node_page(number, kind)

    def take_big_value(self, number: int, size: int) -> int:
        """Take the pages of a value; how many they are."""
        if number >= len(self._taken):
            raise PagesDamaged(f"page {number} is beyond the last page")
        count = self._file.big_value_pages(number, size)
        self._take(number, count)
        return count


@dataclass(frozen=True, slots=True)
class _Branches:
    """The way through one tree."""

    walk: _Walk
    tree: Tree
    counts: _Counts
    on_leaf: Callable[[Page], None]

    def down(self, number: int, level: int, low: bytes, high: bytes | None) -> None:
        """A page and all below it, with keys from `low` until before `high`."""
        is_leaf = level == self.tree.depth
        page = self.walk.node_page(number, LEAF if is_leaf else BRANCH)
        keys = page.keys
        if self.tree.flags & INTEGER_KEYS:
            keys = [key[::-1] for key in keys]  # little-endian, so that they compare as numbers
        if not is_leaf:
            keys = [low, *keys[1:]]  # the first stands for all that are less than the second
        if not in_order(keys) or keys[0] < low or (high is not None and keys[-1] >= high):
            raise PagesDamaged(f"the keys of page {number} are not in order")
        if is_leaf:
            self._leaf(page)
            return
        self.counts.branch_pages += 1
        for child, begin, end in zip(page.sizes, keys, [*keys[1:], high], strict=True):
            self.down(child, level + 1, begin, end)

    def _leaf(self, page: Page) -> None:
        self.counts.leaf_pages += 1
        self.counts.entries += len(page.keys)
        if any(page.flags):
            for position, flags in enumerate(page.flags):
                if flags & BIG_VALUE:
                    number, size = page.value_page(position), page.sizes[position]
                    self.counts.overflow_pages += self.walk.take_big_value(number, size)
        self.on_leaf(page)


def _no_trees(page: Page) -> None:
    if any(flags & ~BIG_VALUE for flags in page.flags):
        raise PagesDamaged(f"page {page.number} has values of an unknown kind")
