"""Which keys a store needs, and what is refused; values in encrypted envelopes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diegod.raftbbs.store import identity
from diegod.raftbbs.store.envelope import PLAIN_ENVELOPE, EnvelopeError
from diegod.raftbbs.store.environment import DATA_FILE, KEYS_TABLE, Environment
from diegod.raftbbs.store.identity import Birth, StoreRefused, Voter
from diegod.raftbbs.store.key_registry import (
    KeyRow,
    KeysRefused,
    Pass,
    open_to_read,
    read_registry,
    unlock,
)
from diegod.security.at_rest import NO_KEYS, SALT_BYTES, Keyring
from tests.unit.raftbbs.store.keyrings import key, ring


@contextmanager
def opened(folder: Path, keyring: Keyring = NO_KEYS) -> Iterator[Environment]:
    environment = Environment.open(folder, create=True, durable=False, map_size=8 << 20)
    try:
        unlock(environment, keyring)
        yield environment
    finally:
        environment.close()


def put(environment: Environment, table: str, **values: bytes) -> None:
    rows = environment.table(table)
    with environment.begin_write() as transaction:
        for name, value in values.items():
            transaction.put(rows, name.encode(), value)


def get(environment: Environment, table: str, name: str) -> bytes | None:
    rows = environment.table(table)
    with environment.begin_read() as transaction:
        return transaction.get(rows, name.encode())


def stored(environment: Environment, table: str) -> dict[bytes, bytes]:
    rows = environment.table(table)
    with environment.begin_read() as transaction:
        return dict(transaction.scan_stored(rows))


def test_a_store_that_never_had_a_key_is_left_as_it_is(tmp_path: Path) -> None:
    with opened(tmp_path, ring("", "spare")) as environment:
        put(environment, "task", a=b"plain value")
        assert environment.envelope is PLAIN_ENVELOPE
        assert environment.table_names() == ["task"]
    assert b"plain value" in (tmp_path / DATA_FILE).read_bytes()


def test_what_is_written_is_encrypted_from_the_first_value(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"secret value")
        assert get(environment, "task", "a") == b"secret value"
        assert stored(environment, "task")[b"a"][:2] == b"\x02\x01"
    assert b"secret value" not in (tmp_path / DATA_FILE).read_bytes()
    with opened(tmp_path, ring("A")) as environment:
        assert get(environment, "task", "a") == b"secret value"


@pytest.mark.parametrize("table", ["meta", KEYS_TABLE])
def test_what_is_needed_before_any_key_stays_plain(tmp_path: Path, table: str) -> None:
    with opened(tmp_path, ring("A")) as environment:
        if table == "meta":
            put(environment, "meta", raft=b"term and vote")
        for place, value in stored(environment, table).items():
            assert PLAIN_ENVELOPE.unwrap(table.encode() + b"\0" + place, value)


def test_a_plain_store_takes_a_key_and_reads_what_it_had(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        put(environment, "task", a=b"before")
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", b=b"after")
        assert get(environment, "task", "a") == b"before"
        assert get(environment, "task", "b") == b"after"
        registry = read_registry(environment)
    assert registry.rows == {0: KeyRow(), 1: KeyRow("A", key("A").check)}
    assert registry.walk == Pass(target=1)
    assert registry.named() == ("A",)


def test_another_active_key_gets_a_label_of_its_own(tmp_path: Path) -> None:
    for number, keyring in enumerate((ring("A"), ring("B", "A"), ring("A", "B")), 1):
        with opened(tmp_path, keyring) as environment:
            put(environment, "task", **{f"v{number}": b"%d" % number})
    with opened(tmp_path, ring("A", "B")) as environment:
        labels = {name: value[1] for name, value in stored(environment, "task").items()}
        assert labels == {b"v1": 1, b"v2": 2, b"v3": 1}
        assert [get(environment, "task", name) for name in ("v1", "v2", "v3")] == [b"1", b"2", b"3"]


def test_a_walk_to_another_target_begins_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        put(environment, "task", a=b"before")
    for keyring, target in ((ring("A"), 1), (ring("B", "A"), 2), (ring("", "A", "B"), 0)):
        with opened(tmp_path, keyring) as environment:
            assert read_registry(environment).walk == Pass(target=target)


REFUSALS = [
    (NO_KEYS, r'is encrypted with the key "A", which is not in \[bbs.encryption.keys\]'),
    (ring("B"), r'is encrypted with the key "A", which is not in .* Put it back'),
    (Keyring("A", {"A": key("A", "other")}), r'the key "A" is not the one .* holds another'),
]


@pytest.mark.parametrize(("keyring", "refusal"), REFUSALS)
def test_a_store_whose_key_is_not_at_hand_is_refused(
    tmp_path: Path, keyring: Keyring, refusal: str
) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"value")
    before = (tmp_path / DATA_FILE).read_bytes()
    with pytest.raises(KeysRefused, match=refusal), opened(tmp_path, keyring):
        pass
    assert (tmp_path / DATA_FILE).read_bytes() == before


def test_every_missing_key_is_named(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"value")
    with opened(tmp_path, ring("B", "A")) as environment:
        put(environment, "task", b=b"value")
    with pytest.raises(KeysRefused) as refused, opened(tmp_path, ring("C")):
        pass
    lines = str(refused.value).splitlines()
    assert ['"A"' in lines[0], '"B"' in lines[1], len(lines)] == [True, True, 2]


def test_a_member_says_so_when_it_loads_its_store(tmp_path: Path) -> None:
    birth = Birth("c", "prod", "m1", "s", (Voter("m1", "", ""),))
    identity.create(tmp_path / "store", birth, durable=False)
    environment, _ = identity.load(tmp_path / "store", durable=False, keyring=ring("A"))
    environment.close()
    with pytest.raises(StoreRefused, match='encrypted with the key "A"'):
        identity.load(tmp_path / "store", durable=False)
    environment, loaded = identity.load(tmp_path / "store", durable=False, keyring=ring("A"))
    environment.close()
    assert loaded == birth


def test_a_copy_is_opened_by_what_it_says_itself(tmp_path: Path) -> None:
    with opened(tmp_path / "store", ring("A")) as environment:
        put(environment, "task", a=b"value")
        (tmp_path / "copy").mkdir()
        environment.copy(tmp_path / "copy")
    content = (tmp_path / "copy" / DATA_FILE).read_bytes()
    copy = Environment.open(tmp_path / "copy", durable=False)
    try:
        with pytest.raises(KeysRefused, match='"A"'):
            open_to_read(copy, ring("B"))
        assert open_to_read(copy, ring("B", "A")).named() == ("A",)
        assert get(copy, "task", "a") == b"value"
    finally:
        copy.close()
    assert (tmp_path / "copy" / DATA_FILE).read_bytes() == content


def moved(environment: Environment, stored: bytes, table: str, name: bytes) -> None:
    """Put a value, as it is stored, somewhere else."""
    rows = environment.table(table)
    with environment.begin_write() as transaction:
        transaction.put_stored(rows, name, stored)


@pytest.mark.parametrize(("table", "name"), [("task", b"b"), ("cell", b"a")])
def test_a_value_at_another_place_is_refused(tmp_path: Path, table: str, name: bytes) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"value")
        moved(environment, stored(environment, "task")[b"a"], table, name)
        with pytest.raises(EnvelopeError, match=f"a value in {table} is not what was encrypted"):
            get(environment, table, name.decode())


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"value")
        right = stored(environment, "task")[b"a"]
        for bit in range(8 * len(right)):
            flipped = bytearray(right)
            flipped[bit // 8] ^= 1 << bit % 8
            moved(environment, bytes(flipped), "task", b"a")
            with pytest.raises(EnvelopeError, match="a value in task "):
                get(environment, "task", "a")


def test_a_plain_value_among_encrypted_ones_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        put(environment, "task", a=b"value")
        environment.envelope = environment.envelope.of_active_key_only()  # type: ignore[attr-defined]
        moved(environment, PLAIN_ENVELOPE.wrap(b"task\0a", b"forged"), "task", b"a")
        with pytest.raises(EnvelopeError, match="is not encrypted, as all others are"):
            get(environment, "task", "a")


@pytest.mark.parametrize("lives", [8])
def test_no_nonce_comes_twice_under_a_key(tmp_path: Path, lives: int) -> None:
    """Over restarts, crashes, overwritten values, and a store that goes on twice from one copy."""
    seen: set[bytes] = set()
    values = 0

    def live(folder: Path, keyring: Keyring) -> None:
        nonlocal values
        with opened(folder, keyring) as environment:
            rows = environment.table("task")
            for number in range(50):
                with environment.begin_write() as transaction:
                    for name in (b"same", b"%d" % number):
                        transaction.put(rows, name, b"value")
                        found = transaction.stored(rows, name)
                        assert found is not None
                        seen.add(found[1 : 2 + SALT_BYTES + 8])  # label, salt, number
                        values += 1
                    if number % 3 == 0:
                        transaction.abort()  # a crash: what was numbered is lost

    for life in range(lives):
        live(tmp_path / "store", ring("A", "B") if life % 2 else ring("B", "A"))
        if life == 0:
            shutil.copytree(tmp_path / "store", tmp_path / "clone")
            live(tmp_path / "clone", ring("A", "B"))
    assert len(seen) == values == (lives + 1) * 100
