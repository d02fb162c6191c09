"""One byte of a stopped member's store is wrong: it refuses, it leaves, or it answers rightly.

`DIEGOD_FLIPS=5000 pytest …` tries more of them. A flip that does no harm is one in a place that
nobody reads: the room between nodes, what is left of a removed row, a page that is free.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from diegod.raftbbs.store import structure
from diegod.raftbbs.store.environment import DATA_FILE
from diegod.raftbbs.store.pages import PagesDamaged
from tests.unit.raftbbs.store import flipped
from tests.unit.raftbbs.store.stores import write_store

FLIPS = int(os.environ.get("DIEGOD_FLIPS", "200"))
GROUPS = 4
PAGE_BYTES = 4096
META_BYTES = 152
NO_FLIP = (0, 0)

Flip = tuple[int, int]


@dataclass(frozen=True)
class Started:
    """What came of a member on a damaged store."""

    flip: Flip
    refused: str = ""
    answers: str = ""
    left: int = 0  # the status that it left with, without having answered


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flips") / "store"
    write_store(folder)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", lrps=3)
    return tmp_path / "store"


@pytest.fixture(scope="module")
def right(store: Path) -> str:
    """What the member answers on its store as it was."""
    first, again = _start(store, [NO_FLIP, NO_FLIP])
    assert first.answers == again.answers != ""
    return first.answers


def _start(store: Path, flips: Sequence[Flip]) -> list[Started]:
    """Start a member on each; one that takes its process with it has left."""
    results: list[Started] = []
    while len(results) < len(flips):
        ahead = flips[len(results) :]
        lines = [str(store), *(f"{offset} {mask}" for offset, mask in ahead)]
        done = subprocess.run(
            [sys.executable, "-m", flipped.__name__],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        results += [
            Started(flip, each.get("refused", ""), each.get("answers", ""))
            for flip, each in zip(ahead, said, strict=False)
        ]
        if len(said) < len(ahead):
            assert done.returncode < 0, f"{ahead[len(said)]}: {done.stderr}"
            results.append(Started(ahead[len(said)], left=done.returncode))
    return results


def _check(results: Sequence[Started], right: str) -> int:
    """No wrong answer, and one line for each refusal; how many were refused or left."""
    wrong = [each.flip for each in results if each.answers not in ("", right)]
    assert wrong == [], "served wrongly"
    for each in results:
        assert "\n" not in each.refused, each
        assert each.refused.startswith("the ") or not each.refused, each
    return sum(not each.answers for each in results)


def _flips_of_used_pages(store: Path, group: int) -> list[Flip]:
    chance = random.Random(f"flips {group}")
    found = structure.check(store)
    used = sorted(set(range(found.pages)) - set(found.free_pages))
    flips = []
    for _ in range(FLIPS // GROUPS):
        offset = chance.choice(used) * PAGE_BYTES + chance.randrange(PAGE_BYTES)
        one_bit = chance.random() < 0.5
        flips.append((offset, 1 << chance.randrange(8) if one_bit else chance.randrange(1, 256)))
    return flips


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_flipped_byte_in_a_used_page_gives_no_wrong_answer(
    store: Path, right: str, group: int
) -> None:
    flips = _flips_of_used_pages(store, group)
    assert _check(_start(store, flips), right) > len(flips) // 4


def test_each_bit_of_both_meta_pages(small: Path) -> None:
    """The later one counts, so a bit in it could bring back the transaction before: a vote or an
    acknowledged entry forgotten. What the check of the pages lets pass is started for real; of the
    earlier one, which LMDB writes next and does not read, one bit of each byte."""
    data = small / DATA_FILE
    original = data.read_bytes()
    later = structure.check(small).transaction & 1
    passed = [
        (offset, 1 << bit)
        for offset in [*range(META_BYTES), *range(PAGE_BYTES, PAGE_BYTES + META_BYTES)]
        for bit in range(8)
        if _passes(small, original, (offset, 1 << bit))
    ]
    data.write_bytes(original)
    started = [
        (offset, mask)
        for offset, mask in passed
        if offset // PAGE_BYTES == later or mask == 1 << offset % 8
    ]
    [right, *results] = _start(small, [NO_FLIP, *started])
    _check(results, right.answers)
    in_meta = {offset % PAGE_BYTES for offset, _ in passed}
    assert not in_meta & {*range(16, 24), *range(META_BYTES - 8, META_BYTES)}, "magic, transaction"
    in_later = {offset % PAGE_BYTES for offset, _ in passed if offset // PAGE_BYTES == later}
    assert len(in_later) < 30


def _passes(store: Path, original: bytes, flip: Flip) -> bool:
    offset, mask = flip
    changed = bytearray(original)
    changed[offset] ^= mask
    (store / DATA_FILE).write_bytes(changed)
    try:
        structure.check(store)
    except PagesDamaged:
        return False
    return True


def test_an_earlier_transaction_never_passes_for_the_last(small: Path) -> None:
    """Whatever number the later meta page says instead of its own."""
    data = small / DATA_FILE
    original = data.read_bytes()
    transaction = structure.check(small).transaction
    begin = (transaction & 1) * PAGE_BYTES + META_BYTES - 8
    assert int.from_bytes(original[begin : begin + 8], "little") == transaction
    try:
        for earlier in range(transaction):
            data.write_bytes(
                original[:begin] + earlier.to_bytes(8, "little") + original[begin + 8 :]
            )
            with pytest.raises(PagesDamaged):
                structure.check(small)
    finally:
        data.write_bytes(original)
