"""Tables, transactions, and what a store that can't write says."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.store.environment import Environment, StoreFailed, StoreMissing, Table


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment.open(tmp_path / "store", create=True, map_size=1 << 20)
    yield environment
    environment.close()


@pytest.fixture
def fruits(environment: Environment) -> Table:
    table = environment.table("fruits")
    with environment.begin_write() as transaction:
        for key in (b"apple", b"apricot", b"banana", b"cherry", b"\xff\xff", b"\xff\xffz"):
            transaction.put(table, key, key.upper())
    return table


def test_what_is_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    environment = Environment.open(tmp_path, create=True)
    table = environment.table("t")
    with environment.begin_write() as transaction:
        transaction.put(table, b"k", b"v")
    environment.close()
    environment = Environment.open(tmp_path)
    table = environment.table("t")
    with environment.begin_read() as view:
        assert view.get(table, b"k") == b"v"
    environment.close()


def test_a_store_is_made_only_when_that_is_meant(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="there is no store in"):
        Environment.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_its_owners_alone(tmp_path: Path) -> None:
    Environment.open(tmp_path / "new" / "store", create=True).close()
    assert (tmp_path / "new" / "store").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "store" / "data.mdb").stat().st_mode & 0o077 == 0


def test_a_store_takes_disk_only_as_it_is_used(tmp_path: Path) -> None:
    environment = Environment.open(tmp_path, create=True)
    used = environment.used_bytes()
    assert used < 1 << 20
    table = environment.table("t")
    with environment.begin_write() as transaction:
        transaction.put(table, b"k", b"v" * (1 << 20))
    assert environment.used_bytes() >= used + (1 << 20)
    assert (tmp_path / "data.mdb").stat().st_blocks * 512 < 4 << 20
    environment.close()


def test_a_view_stays_as_it_was(environment: Environment, fruits: Table) -> None:
    with environment.begin_read() as view:
        with environment.begin_write() as transaction:
            transaction.put(fruits, b"apple", b"other")
            assert transaction.delete(fruits, b"banana")
            assert not transaction.delete(fruits, b"banana")
        assert view.get(fruits, b"apple") == b"APPLE"
        assert view.get(fruits, b"banana") == b"BANANA"
    with environment.begin_read() as view:
        assert view.get(fruits, b"apple") == b"other"
        assert view.get(fruits, b"banana") is None


def test_an_exception_undoes_a_transaction(environment: Environment, fruits: Table) -> None:
    def fail() -> None:
        with environment.begin_write() as transaction:
            transaction.put(fruits, b"apple", b"other")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with environment.begin_read() as view:
        assert view.get(fruits, b"apple") == b"APPLE"


def test_an_abort_undoes_a_transaction(environment: Environment, fruits: Table) -> None:
    with environment.begin_write() as transaction:
        transaction.put(fruits, b"apple", b"other")
        transaction.abort()
    with environment.begin_read() as view:
        assert view.get(fruits, b"apple") == b"APPLE"


ALL = [b"apple", b"apricot", b"banana", b"cherry", b"\xff\xff", b"\xff\xffz"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, ALL),
        ({"prefix": b"ap"}, ALL[:2]),
        ({"prefix": b"apple"}, ALL[:1]),
        ({"prefix": b"b"}, ALL[2:3]),
        ({"prefix": b"bb"}, []),
        ({"prefix": b"\xff"}, ALL[4:]),
        ({"prefix": b"\xff\xffz"}, ALL[5:]),
        ({"start": b"apr"}, ALL[1:]),
        ({"start": b"apricot", "stop": b"cherry"}, ALL[1:3]),
        ({"stop": b"apple"}, []),
        ({"stop": b"b"}, ALL[:2]),
        ({"start": b"\xff\xffzz"}, []),
    ],
)
def test_a_scan_keeps_to_its_bounds_in_both_directions(
    environment: Environment, fruits: Table, bounds: dict[str, bytes], expected: list[bytes]
) -> None:
    with environment.begin_read() as view:
        up = list(view.scan(fruits, **bounds))  # type: ignore[arg-type]
        down = list(view.scan(fruits, **bounds, reverse=True))
    assert up == [(key, key.upper()) for key in expected]
    assert down == up[::-1]


def test_an_empty_table_has_no_last_key(environment: Environment, fruits: Table) -> None:
    empty = environment.table("empty")
    with environment.begin_read() as view:
        assert view.last_key(empty) is None
        assert view.count(empty) == 0
        assert list(view.scan(empty, reverse=True)) == []
        assert view.last_key(fruits) == b"\xff\xffz"
        assert view.count(fruits) == 6


def test_append_takes_only_a_greater_key(environment: Environment, fruits: Table) -> None:
    with environment.begin_write() as transaction:
        transaction.put(fruits, b"\xff\xffzz", b"", append=True)
        with pytest.raises(ValueError, match="is not greater than the last one of fruits"):
            transaction.put(fruits, b"grape", b"", append=True)


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_a_key_that_lmdb_would_not_take_is_refused_before(
    environment: Environment, fruits: Table, key: bytes
) -> None:
    with environment.begin_write() as transaction:
        for act in (
            lambda: transaction.put(fruits, key, b"v"),
            lambda: transaction.get(fruits, key),
            lambda: transaction.delete(fruits, key),
        ):
            with pytest.raises(ValueError, match="a key has 1 to 511 bytes"):
                act()
        transaction.put(fruits, b"x" * 511, b"v")


def test_a_full_map_is_a_failed_store(environment: Environment, fruits: Table) -> None:
    def fill() -> None:
        with environment.begin_write() as transaction:
            for number in range(1000):
                transaction.put(fruits, b"%d" % number, b"x" * 4000)

    with pytest.raises(StoreFailed, match=r"can't write: .*MAP_FULL"):
        fill()
    with environment.begin_write() as transaction:
        transaction.put(fruits, b"apple", b"small")
    with environment.begin_read() as view:
        assert view.get(fruits, b"apple") == b"small"
        assert view.get(fruits, b"0") is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.root
def test_a_full_disk_is_a_failed_store_that_keeps_what_it_had(small_disk: Path) -> None:
    environment = Environment.open(small_disk, create=True)
    table = environment.table("t")
    with environment.begin_write() as transaction:
        transaction.put(table, b"k", b"v")
    transaction = environment.begin_write()
    transaction.put(table, b"big", b"x" * (2 << 20))
    with pytest.raises(StoreFailed, match="can't commit"):
        transaction.commit()
    environment.close()
    environment = Environment.open(small_disk)
    table = environment.table("t")
    with environment.begin_read() as view:
        assert view.get(table, b"k") == b"v"
        assert view.count(table) == 1
    environment.close()


def test_a_file_that_is_no_store_is_a_failed_store(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no" * 9000)
    with pytest.raises(StoreFailed, match="the store can't open"):
        Environment.open(tmp_path)


def test_a_failpoint_strikes_before_anything_is_durable(
    environment: Environment, fruits: Table
) -> None:
    def strike() -> None:
        raise ZeroDivisionError

    environment.before_commit = strike
    transaction = environment.begin_write()
    transaction.put(fruits, b"apple", b"other")
    with pytest.raises(ZeroDivisionError):
        transaction.commit()
    transaction.abort()
    with environment.begin_read() as view:
        assert view.get(fruits, b"apple") == b"APPLE"


def test_a_thread_does_not_wait_for_itself(environment: Environment) -> None:
    """LMDB would, for ever."""
    for act in (environment.begin_write, lambda: environment.table("new")):
        with environment.begin_write(), pytest.raises(RuntimeError, match="is not ended"):
            act()
    environment.table("new")


def test_a_copy_has_what_was_committed(
    environment: Environment, fruits: Table, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    environment.copy(folder)
    copy = Environment.open(folder)
    table = copy.table("fruits")
    with copy.begin_read() as view:
        assert view.count(table) == 6
    copy.close()
    with pytest.raises(StoreFailed, match="can't copy"):
        environment.copy(tmp_path / "nowhere")


def test_children_do_not_inherit_the_store(environment: Environment) -> None:
    seen = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True, check=True
    )
    held = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert environment.path / "data.mdb" in held
    assert str(environment.path) not in seen.stdout


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_store_flushes_each_commit(tmp_path: Path, durable: bool) -> None:
    """Data and meta pages both; and the file is never written through memory, where a crash of the
    process would leave half of a transaction. Only simulation asks for less."""
    environment = Environment.open(tmp_path, create=True, durable=durable)
    flags = environment._environment.flags()
    environment.close()
    assert (flags["sync"], flags["metasync"]) == (durable, durable)
    assert not flags["writemap"]
    assert not flags["map_async"]
