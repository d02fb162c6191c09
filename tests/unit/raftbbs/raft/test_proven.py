"""Only the library that all this was proved against may be used."""

import shutil
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pysyncobj
import pytest

from diegod.raftbbs.raft import guarded, proven
from diegod.raftbbs.raft.api import Fatal

INSTALLED = Path(pysyncobj.__file__).parent


@pytest.fixture(autouse=True)
def looking_again() -> Iterator[None]:
    """It looks once a process; here it looks each time."""
    proven.require_proven.cache_clear()
    yield
    proven.require_proven.cache_clear()


def test_the_installed_library_is_the_proven_one() -> None:
    proven.require_proven()
    assert proven.differences(INSTALLED) == []


def test_every_module_that_is_imported_is_proven() -> None:
    assert guarded.__name__ in sys.modules
    imported = {
        Path(module.__file__ or "").name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "pysyncobj"
    }
    assert imported <= set(proven.PROVEN_FILES)


def test_a_changed_or_missing_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pysyncobj"
    shutil.copytree(INSTALLED, folder)
    (folder / "journal.py").write_text("# better\n")
    (folder / "node.py").unlink()
    assert proven.differences(folder) == ["journal.py", "node.py"]
    spec = ModuleSpec("pysyncobj", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(proven, "find_spec", lambda name: spec)
    with pytest.raises(Fatal, match=r"not the proven 0\.3\.17 \(journal\.py, node\.py differ\)"):
        proven.require_proven()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proven, "find_spec", lambda name: None)
    with pytest.raises(Fatal, match=r"install pysyncobj==0\.3\.17"):
        proven.require_proven()
