"""The hook: found through the entry point, and what it makes."""

from pathlib import Path

from diegod.contracts.backend import Owner

from diegod_runc import diegod_backends
from diegod_runc.backend import RuncBackend


def test_hook(tmp_path: Path) -> None:
    (record,) = diegod_backends()
    assert (record.name, record.platforms) == ("runc", ("linux",))
    assert isinstance(record.factory(Owner("c", "cell-1"), tmp_path, {}), RuncBackend)
