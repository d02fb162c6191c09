"""The mark on a store whose state was found to be wrong."""

import json
from pathlib import Path

import pytest

from diegod.raftbbs.store import quarantine
from diegod.raftbbs.store.identity import StoreRefused
from diegod.raftbbs.store.quarantine import MARK_FILE, Mark

MARK = Mark.of(3000, b"\xaa" * 32, b"\xbb" * 32, 1_800_000_000.0)


def test_a_store_without_a_mark_is_not_refused(tmp_path: Path) -> None:
    quarantine.refuse_marked(tmp_path)
    quarantine.refuse_marked(tmp_path / "nowhere")


def test_a_marked_store_is_refused_with_what_and_why_and_what_to_do(tmp_path: Path) -> None:
    quarantine.put(tmp_path, MARK)
    with pytest.raises(StoreRefused) as refusal:
        quarantine.refuse_marked(tmp_path)
    assert str(refusal.value) == (
        f"the store in {tmp_path} is quarantined: at 2027-01-15T08:00:00+00:00 its state at entry "
        "3000 was aaaaaaaaaaaa, a majority of the members had bbbbbbbbbbbb. It is not served "
        f"again: move {tmp_path} away, keep it for whoever looks for the cause, and replace this "
        "member with `diegod bbs join ADDRESS --replace`"
    )


def test_the_mark_is_a_record_for_programs_too(tmp_path: Path) -> None:
    quarantine.put(tmp_path, MARK)
    quarantine.put(tmp_path, MARK)
    assert json.loads((tmp_path / MARK_FILE).read_text()) == {
        "index": 3000,
        "own_hash": "aa" * 32,
        "agreed_hash": "bb" * 32,
        "at": "2027-01-15T08:00:00+00:00",
    }


@pytest.mark.parametrize("content", [b"", b"rubbish", b"[]", b'{"index": 1}'])
def test_a_mark_that_can_not_be_read_is_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARK_FILE).write_bytes(content)
    with pytest.raises(StoreRefused, match="does not say why"):
        quarantine.refuse_marked(tmp_path)
