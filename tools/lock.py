"""Writes requirements.lock: every outside package that the four distributions and their tools need.

Run it after a dependency changed in some pyproject.toml, on a machine that has `uv`:

    .venv/bin/python tools/lock.py             what is pinned stays, the rest is resolved
    .venv/bin/python tools/lock.py --upgrade   everything is resolved anew

The lock names no package index and no path, so it is the same file on every machine, and plain
pip installs it. Our own distributions are left out: pip takes no hash for a folder.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PYTHON_MIN = "3.11"

HEADER = """\
# Every outside package of diegod, its plugins and its tools, pinned with hashes.
# Made from the pyproject.toml files by tools/lock.py; do not edit.
"""


def main(arguments: list[str]) -> int:
    pins = resolve(direct_requirements(ROOT), upgrade="--upgrade" in arguments)
    LOCK.write_text(HEADER + pins, encoding="utf-8")
    print(f"{LOCK.name}: {pins.count('==')} packages")
    return 0


def direct_requirements(root: Path) -> list[str]:
    """What the projects ask for, sorted, without what they ask of one another."""
    asked = {line for path in project_files(root) for line in _requirements(_project(path))}
    return sorted(line for line in asked if not is_ours(line))


def project_files(root: Path) -> list[Path]:
    return [root / "pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))]


def _project(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _requirements(project: dict[str, Any]) -> Iterator[str]:
    yield from project["build-system"]["requires"]
    yield from project["project"].get("dependencies", [])
    for group in ("optional-dependencies", "dependency-groups"):
        tables = project["project"] if group == "optional-dependencies" else project
        for lines in tables.get(group, {}).values():
            yield from lines


def is_ours(requirement: str) -> bool:
    """`diegod` itself or one of its plugins: found in this folder, not in a registry."""
    return re.match(r"diegod(-[a-z-]+)?\b", requirement) is not None


def resolve(requirements: list[str], *, upgrade: bool) -> str:
    command = [
        "uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version", PYTHON_MIN,
        "--generate-hashes", "--no-header", "--no-annotate",
        "--no-emit-index-url", "--no-emit-find-links", "--output-file", str(LOCK),
    ]  # fmt: skip
    if upgrade:
        command.append("--upgrade")
    asked = "\n".join(requirements)
    try:
        done = subprocess.run(command, input=asked, text=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        sys.exit("tools/lock.py: uv is not in PATH; it comes with: .venv/bin/pip install uv")
    if done.returncode != 0:
        sys.exit("tools/lock.py: nothing was written (uv says why above)")
    return LOCK.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
