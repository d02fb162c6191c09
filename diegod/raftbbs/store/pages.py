"""The pages of a store's file as LMDB lays them out: read from the file, one by one, without LMDB.

The layout is that of liblmdb's format version 1 on a little-endian machine with 64 bits (`mdb.c`):
a page begins with its number, its kind, and where its nodes are; a node is a key with a value, or
with the page of those keys that are not less. Nothing here trusts a byte: whatever does not fit is
`PagesDamaged`, never an access beyond what was read. Does not belong here: how pages fit together
(`structure`), and what values are.
"""

import os
import struct
from dataclasses import dataclass
from operator import lt

BRANCH, LEAF, OVERFLOW, META = 0x01, 0x02, 0x04, 0x08
BIG_VALUE, TREE_VALUE = 0x01, 0x02
INTEGER_KEYS = 0x08
NO_PAGE = (1 << 64) - 1

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_PAGE = struct.Struct("<QHHHH")  # number, padding, kind, begin and end of the room between
_PAGES = struct.Struct("<I")  # instead of the room: of a value that has pages of its own
_NODE = struct.Struct("<HHHH")  # low and high half of a size; flags; size of the key
_META = struct.Struct("<IIQQ")  # magic, version, address, map size; two trees follow
_TREE = struct.Struct("<IHHQQQQQ")
_END = struct.Struct("<QQ")  # last page, transaction
_NUMBER = struct.Struct("<Q")
_META_PAGE_BYTES = _PAGE.size + _META.size + 2 * _TREE.size + _END.size
_PAGE_BYTES_MAX = 65536


class PagesDamaged(Exception):  # noqa: N818 - it says what was found
    """A file that no transaction has left like this. Says where it is wrong."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What is said of a tree where it hangs: under a meta page, or under its table's name."""

    page_bytes: int  # said of the whole file, in the place of the free list
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


@dataclass(frozen=True, slots=True)
class Meta:
    """What one transaction has left: the trees, and where the file ends."""

    number: int
    free: Tree
    main: Tree
    last_page: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Page:
    """A branch or a leaf. Of a leaf `sizes` are those of values; of a branch, child pages."""

    number: int
    content: bytes
    offsets: tuple[int, ...]
    keys: list[bytes]
    flags: list[int]
    sizes: list[int]

    def value(self, position: int) -> bytes:
        """What lies behind a key in this very page."""
        begin = self.offsets[position] + _NODE.size + len(self.keys[position])
        size = _NUMBER.size if self.flags[position] & BIG_VALUE else self.sizes[position]
        return self.content[begin : begin + size]

    def value_page(self, position: int) -> int:
        """The first of the pages of a big value."""
        return int(_NUMBER.unpack(self.value(position))[0])


class PageFile:
    """A file of pages, read where it is asked for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        first = self._meta(0, 0)
        self.page_bytes = first.free.page_bytes
        self.metas = first, self._meta(1, self.page_bytes)
        self.pages = self._size // self.page_bytes
        """How many the file has. Those that were never written, at its end, are not there."""

    def read(self, begin: int, size: int) -> bytes:
        """Bytes of the file; all of them."""
        if begin + size > self._size:
            raise PagesDamaged(
                f"the file is cut short, or leads beyond its end: it has {self._size} bytes, what "
                f"is needed lies at byte {begin}"
            )
        return os.pread(self._descriptor, size, begin)

    def node_page(self, number: int, kind: int) -> Page:
        """A branch or a leaf, with its nodes."""
        content = self.read(number * self.page_bytes, self.page_bytes)
        own_number, _, own_kind, room_begin, room_end = _PAGE.unpack_from(content)
        count, odd = divmod(room_begin - _PAGE.size, 2)
        if (own_number, own_kind) != (number, kind) or odd:
            raise PagesDamaged(f"page {number} is not what it is used for")
        if count < 1 or not room_begin <= room_end <= self.page_bytes:
            raise PagesDamaged(f"page {number} has no nodes")
        offsets = struct.unpack_from(f"<{count}H", content, _PAGE.size)
        if max(offsets) > self.page_bytes - _NODE.size:
            raise PagesDamaged(f"page {number} has a node beyond its end")
        nodes = [_NODE.unpack_from(content, offset) for offset in offsets]
        ends = [offset + _NODE.size + node[3] for offset, node in zip(offsets, nodes, strict=True)]
        keys = [
            content[offset + _NODE.size : end]
            for offset, end in zip(offsets, ends, strict=True)
        ]
        if kind == LEAF:
            sizes = [low | high << 16 for low, high, _, _ in nodes]
            flags = [flags for _, _, flags, _ in nodes]
            ends = [
                end + (_NUMBER.size if each & BIG_VALUE else size)
                for end, each, size in zip(ends, flags, sizes, strict=True)
            ]
        else:
            sizes = [low | high << 16 | third << 32 for low, high, third, _ in nodes]
            flags = [0] * count
        self._check_filled(number, offsets, ends, room_end)
        return Page(number, content, offsets, keys, flags, sizes)

    def _check_filled(
        self, number: int, offsets: tuple[int, ...], ends: list[int], room_end: int
    ) -> None:
        """The nodes fill the page from the end of the room to its own, without a gap."""
        begins = {*offsets, self.page_bytes}
        rounded = {end + (end & 1) for end in ends}
        if len(begins) != len(offsets) + 1 or begins != rounded | {room_end}:
            raise PagesDamaged(f"page {number} is not filled by its nodes")

    def big_value_pages(self, number: int, size: int) -> int:
        """How many pages a value of this size has; they begin with a page of this number."""
        content = self.read(number * self.page_bytes, _PAGE.size)
        own_number, _, kind, _, _ = _PAGE.unpack(content)
        (said,) = _PAGES.unpack_from(content, _PAGE.size - _PAGES.size)
        pages = (_PAGE.size - 1 + size) // self.page_bytes + 1
        if (own_number, kind, said) != (number, OVERFLOW, pages):
            raise PagesDamaged(f"page {number} does not begin a value of {size} bytes")
        return pages

    def big_value(self, number: int, size: int) -> bytes:
        return self.read(number * self.page_bytes + _PAGE.size, size)

    def _meta(self, number: int, begin: int) -> Meta:
        content = self.read(begin, _META_PAGE_BYTES)
        own_number, _, kind, _, _ = _PAGE.unpack_from(content)
        magic, version, address, _ = _META.unpack_from(content, _PAGE.size)
        if (own_number, kind, magic, address) != (number, META, _MAGIC, 0):
            raise PagesDamaged(f"meta page {number} is none: this is no file of ours")
        if version != _VERSION:
            raise PagesDamaged(f"meta page {number} has LMDB's format {version}, not {_VERSION}")
        trees = _PAGE.size + _META.size
        free = Tree(*_TREE.unpack_from(content, trees))
        main = Tree(*_TREE.unpack_from(content, trees + _TREE.size))
        last_page, transaction = _END.unpack_from(content, trees + 2 * _TREE.size)
        size = free.page_bytes
        if size & (size - 1) or not _META_PAGE_BYTES < size <= _PAGE_BYTES_MAX:
            raise PagesDamaged(f"meta page {number} says that pages have {size} bytes")
        if (free.flags, main.flags) != (INTEGER_KEYS, 0) or not 0 < last_page < 1 << 47:
            raise PagesDamaged(f"meta page {number} describes no file of ours")
        return Meta(number, free, main, last_page, transaction)


def tree_of(value: bytes, name: str) -> Tree:
    """The tree of a table, from the value that its name has."""
    if len(value) != _TREE.size:
        raise PagesDamaged(f"the table {name} is described by {len(value)} bytes")
    return Tree(*_TREE.unpack(value))


def freed_pages(value: bytes) -> tuple[int, ...]:
    """The pages that one transaction freed, from its value in the free list."""
    count = _NUMBER.unpack_from(value)[0] if len(value) >= _NUMBER.size else 0
    if not count < len(value) // _NUMBER.size:
        raise PagesDamaged("the free list has an entry without its pages")
    return struct.unpack_from(f"<{count}Q", value, _NUMBER.size)


def number_of(key: bytes) -> int:
    """The transaction that a key of the free list stands for."""
    if len(key) != _NUMBER.size:
        raise PagesDamaged(f"the free list has a key of {len(key)} bytes")
    return int(_NUMBER.unpack(key)[0])


def in_order(keys: list[bytes]) -> bool:
    """Whether each key is less than the next."""
    return all(map(lt, keys, keys[1:]))
