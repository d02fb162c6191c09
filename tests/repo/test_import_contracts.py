"""The contracts of .importlinter hold, and each of them bites."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo import tree

#: One thing that each contract forbids: file, import, and how the contract's name begins.
VIOLATIONS = (
    ("diegod/rpc/__init__.py", "import diegod.node", "A layer imports only lower ones"),
    ("diegod/cli/task/__init__.py", "import diegod.cli.lrp.look", "A command imports what all"),
    (
        "diegod/config/__init__.py",
        "import diegod.testing",
        "The product does not need its test kit",
    ),
    ("diegod/cellruntime/core/__init__.py", "import time", "A core decides"),
    ("plugins/runc/diegod_runc/__init__.py", "import diegod.node", "Plugins import the interfaces"),
    ("plugins/docker/diegod_docker/__init__.py", "import diegod_runc", "diegod does not know"),
    ("diegod/plugins/__init__.py", "import diegod_runc", "diegod finds its plugins"),
    ("diegod/raftbbs/__init__.py", "import pysyncobj", "One door: pysyncobj"),
    ("diegod/raftbbs/store/__init__.py", "import lmdb", "One door: lmdb"),
    ("diegod/rpc/__init__.py", "import cryptography", "One door: cryptography"),
    ("diegod/node/__init__.py", "import typer", "One door: typer"),
    ("diegod/node/__init__.py", "import pyroute2", "One door: pyroute2"),
    ("diegod/cli/__init__.py", "import ruamel.yaml", "One door: ruamel.yaml"),
    ("diegod/scheduler/__init__.py", "import cronsim", "One door: cronsim"),
    ("diegod/node/__init__.py", "import pluggy", "One door: pluggy"),
    ("diegod/raftbbs/__init__.py", "import numpy", "Two doors: numpy"),
    ("diegod/cellruntime/__init__.py", "import grpc", "One door: gRPC"),
)


def verdicts(clone: Path) -> dict[str, str]:
    """KEPT or BROKEN, by contract, for the packages in a folder."""
    packages = [clone, *sorted(clone.glob("plugins/*"))]
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config"]
    done = subprocess.run(
        [*command, str(tree.ROOT / ".importlinter")],
        cwd=clone,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(map(str, packages)), "COLUMNS": "200"},
        check=False,
    )
    found = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
    assert found, done.stdout + done.stderr
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("diegod", "plugins"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(tree.ROOT / folder, tmp_path / folder, ignore=ignored)
    return tmp_path


def test_every_contract_is_kept() -> None:
    broken = [name for name, verdict in verdicts(tree.ROOT).items() if verdict != "KEPT"]
    assert broken == [], "make lint says where"


def test_every_contract_bites(copy: Path) -> None:
    for file, statement, _ in VIOLATIONS:
        with (copy / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{statement}\n")
    found = verdicts(copy)
    assert [name for name, verdict in found.items() if verdict == "KEPT"] == []
    assert len(found) == len(VIOLATIONS)
    assert all(any(name.startswith(start) for name in found) for _, _, start in VIOLATIONS)
