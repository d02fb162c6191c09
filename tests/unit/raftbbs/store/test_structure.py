"""The pages of a store's file: what LMDB leaves is in order, what it never leaves is refused."""

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.store import structure
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from diegod.raftbbs.store.pages import PagesDamaged

PAGE = 4096
MAP_SIZE = 256 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tables: one deep, one with values that have pages of their own; some pages are free."""
    environment = Environment.open(tmp_path, create=True, durable=False, map_size=MAP_SIZE)
    deep, wide = environment.table("deep"), environment.table("wide")
    for turn in range(4):
        with environment.begin_write() as transaction:
            for number in range(4000):
                transaction.put(deep, b"%08d" % number, b"%d" % turn * 20)
            transaction.put(wide, b"big", b"x" * 50_000)
    environment.close()
    return tmp_path


def test_a_file_of_ours_is_in_order(folder: Path) -> None:
    found = structure.check(folder)
    assert found.entries == {"deep": 4000, "wide": 1}
    assert found.pages > 100
    assert len(set(found.free_pages)) > 50


@pytest.mark.parametrize("seed", range(4))
def test_whatever_transactions_leave_is_in_order(tmp_path: Path, seed: int) -> None:
    """Rows come and go, tables are emptied, transactions aborted, copies made, readers stay."""
    chance = random.Random(seed)
    story = _Story(chance, tmp_path)
    try:
        for _ in range(60):
            chance.choice((story.write, story.write, story.write, story.copy, story.read))()
            found = structure.check(story.folder)
            counts = story.counts()
            assert [found.entries.get(name, 0) for name in counts] == list(counts.values())
    finally:
        story.environment.close()


class _Story:
    """A store to which things happen."""

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self.chance, self.root, self.folder = chance, folder, folder / "0"
        self.copies = 0
        self.readers: list[object] = []
        self.environment = Environment.open(
            self.folder, create=True, durable=False, map_size=MAP_SIZE
        )

    def counts(self) -> dict[str, int]:
        tables = [self.environment.table(name) for name in ("a", "b")]
        with self.environment.begin_read() as transaction:
            return {table.name: transaction.count(table) for table in tables}

    def write(self) -> None:
        chance, tables = self.chance, [self.environment.table(name) for name in ("a", "b")]
        transaction = self.environment.begin_write()
        for _ in range(chance.choice((1, 20, 400))):
            table, act = chance.choice(tables), chance.random()
            if act < 0.7:
                size = chance.choice((0, 10, 100, 1000, 9000))
                transaction.put(table, chance.randbytes(chance.choice((8, 16, 300))), bytes(size))
            elif act < 0.99:
                key = transaction.first_key(table)
                if key is not None:
                    transaction.delete(table, key)
            else:
                transaction.clear(table)
        transaction.abort() if chance.random() < 0.1 else transaction.commit()

    def copy(self) -> None:
        """Sometimes the story goes on in the copy."""
        self.copies += 1
        folder = self.root / str(self.copies)
        folder.mkdir()
        self.environment.copy(folder)
        assert structure.check(folder).free_pages == ()
        if self.chance.random() < 0.5 and not self.readers:
            self.environment.close()
            self.folder = folder
            self.environment = Environment.open(folder, durable=False, map_size=MAP_SIZE)

    def read(self) -> None:
        """A reader keeps old pages from being used again."""
        if self.readers:
            self.readers.pop().abort()  # type: ignore[attr-defined]
        else:
            self.readers.append(self.environment.begin_read())


def _pages(content: bytearray, kind: int) -> Iterator[int]:
    """Where the pages of a kind begin, free ones among them."""
    for begin in range(2 * PAGE, len(content), PAGE):
        if struct.unpack_from("<H", content, begin + 10)[0] == kind:
            yield begin


def _used(folder: Path, content: bytearray, kind: int) -> int:
    free = set(structure.check(folder).free_pages)
    return next(each for each in _pages(content, kind) if each // PAGE not in free)


def _swap_keys(folder: Path, content: bytearray) -> None:
    """Two nodes of a leaf change places: whole, each of them, and in a wrong order."""
    begin = _used(folder, content, 2) + 16
    content[begin : begin + 4] = content[begin + 2 : begin + 4] + content[begin : begin + 2]


def _swap_children(folder: Path, content: bytearray) -> None:
    """The first two children of a branch change places: a scan finds all, a lookup doesn't."""
    begin = _used(folder, content, 1)
    first, second = struct.unpack_from("<HH", content, begin + 16)
    one, other = begin + first, begin + second
    content[one : one + 6], content[other : other + 6] = (
        content[other : other + 6],
        content[one : one + 6],
    )


def _earlier_page(folder: Path, content: bytearray) -> None:
    """A branch leads to the page as it was some transactions ago: whole, and free since."""
    free = structure.check(folder).free_pages
    begin = _used(folder, content, 1)
    offset = begin + struct.unpack_from("<H", content, begin + 16)[0]
    old = next(each for each in _pages(content, 2) if each // PAGE in free) // PAGE
    content[offset : offset + 6] = struct.pack("<Q", old)[:6]


def _lost_branch(folder: Path, content: bytearray) -> None:
    """A branch has one child less."""
    begin = _used(folder, content, 1)
    room = struct.unpack_from("<H", content, begin + 12)[0]
    content[begin + 12 : begin + 14] = struct.pack("<H", room - 2)


def _other_value(folder: Path, content: bytearray) -> None:
    """A big value says that it has another number of pages."""
    begin = _used(folder, content, 4)
    content[begin + 12] += 1


def _no_page(folder: Path, content: bytearray) -> None:
    content[_used(folder, content, 2)] ^= 1


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_swap_keys, r"the keys of page \d+ are not in order"),
        (_swap_children, r"the keys of page \d+ are not in order"),
        (_earlier_page, r"page \d+ is used twice|are not in order|has \d+ entries"),
        (_lost_branch, r"page \d+ is not filled by its nodes"),
        (_other_value, r"page \d+ does not begin a value of \d+ bytes"),
        (_no_page, r"page \d+ is not what it is used for"),
    ],
)
def test_pages_that_do_not_fit_together_are_refused(
    folder: Path, damage: Callable[[Path, bytearray], None], says: str
) -> None:
    content = bytearray((folder / DATA_FILE).read_bytes())
    damage(folder, content)
    (folder / DATA_FILE).write_bytes(content)
    with pytest.raises(PagesDamaged, match=says):
        structure.check(folder)


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 10, -10, -1])
def test_a_file_that_is_cut_short_is_refused(folder: Path, pages: int) -> None:
    """By whole pages, and by half of one."""
    content = (folder / DATA_FILE).read_bytes()
    for size in (pages * PAGE % len(content), pages * PAGE % len(content) + PAGE // 2):
        (folder / DATA_FILE).write_bytes(content[:size])
        with pytest.raises(PagesDamaged, match=r"cut short|is none"):
            structure.check(folder)


@pytest.mark.parametrize("content", [b"", b"\0" * 65536, b"rubbish\n" * 8192])
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATA_FILE).write_bytes(content)
    with pytest.raises(PagesDamaged, match=r"cut short|is none"):
        structure.check(tmp_path)


def test_a_page_that_is_free_and_used_is_refused(folder: Path) -> None:
    """LMDB would hand it out, and write over what is in it."""
    content = bytearray((folder / DATA_FILE).read_bytes())
    found = structure.check(folder)
    used = next(each for each in range(2, found.pages) if each not in found.free_pages)
    free = struct.pack("<Q", found.free_pages[0])
    at = [each for each in range(0, len(content), 8) if content[each : each + 8] == free]
    for each in at:
        if each % PAGE:  # not where the page itself says its number
            content[each : each + 8] = struct.pack("<Q", used)
    (folder / DATA_FILE).write_bytes(content)
    with pytest.raises(PagesDamaged, match=f"page {used} is used twice"):
        structure.check(folder)
