"""What a stranger's machine needs to build and use this: metadata, lock, Makefile."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.repo import tree
from tests.repo.sources import imported
from tools import lock

#: Needs the extra `testing`, which is for people who write plugins.
TESTING = tree.ROOT / "diegod/testing"
TARGETS = {"demo", "test", "lint", "types", "sim", "bench", "docs", "clean"}
#: Sites that our files may name: addresses, examples, the licence's. Package indexes are none of
#: them: each machine has its own.
SITES = re.compile(r"[^.]+|[\d.]+|(.+\.)?example(\.com)?|www\.apache\.org")
#: Put together here so that this file does not hold what it looks for.
_PLACES = ("--index" + "-url", "--extra-index" + "-url", "file:" + "///")


def project(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def pins() -> dict[str, list[Version]]:
    """What the lock holds; several versions where they depend on the interpreter."""
    found: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock.LOCK.read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


def test_the_lock_holds_all_that_the_projects_ask_for() -> None:
    pinned = pins()
    missing = [
        asked
        for asked in lock.direct_requirements(tree.ROOT)
        if not pinned.get(canonicalize_name(Requirement(asked).name))
        or not all(v in Requirement(asked).specifier for v in pinned[_name(asked)])
    ]
    assert missing == [], "run tools/lock.py"


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def test_the_lock_pins_with_hashes_and_names_no_place() -> None:
    text = lock.LOCK.read_text()
    entries = re.split(r"\n(?=[a-z])", text.partition("\n\n")[0])
    unhashed = [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert len(entries) > 40
    assert unhashed == []
    assert not re.search(r"://|@ |/|^-", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))


def test_the_lock_holds_what_builds_us() -> None:
    """Else `pip install --no-build-isolation` fetches something unpinned, or fails."""
    assert {"hatchling", "editables", "setuptools"} <= pins().keys()


def test_our_own_distributions_are_not_in_the_lock() -> None:
    assert [name for name in pins() if name.startswith("diegod")] == []


@pytest.mark.parametrize("path", lock.project_files(tree.ROOT), ids=tree.name_of)
def test_a_distribution_asks_for_what_it_imports_and_nothing_else(path: Path) -> None:
    about = project(path)["project"]
    asked = {_name(line) for line in about.get("dependencies", [])}
    [package] = project(path)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    modules = [p for p in tree.product_modules() if path.parent / package in p.parents]
    needed = _distributions([p for p in modules if TESTING not in p.parents])
    assert needed - {about["name"]} == asked
    for_tests = {_name(line) for line in about.get("optional-dependencies", {}).get("testing", [])}
    assert _distributions(modules) <= asked | for_tests | {about["name"]}


def _distributions(modules: list[Path]) -> set[str]:
    """What outside distributions these modules import, wherever in them they do."""
    sources = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    names = {name for source in sources for _, name in imported(source)}
    return {_distribution_of(name) for name in names if not _is_standard(name)}


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _distribution_of(module: str) -> str:
    """`google` is a folder that several distributions share."""
    if module.startswith("google."):
        return "protobuf" if module.startswith("google.protobuf") else "googleapis-common-protos"
    first = module.partition(".")[0]
    if first.startswith("diegod"):
        return canonicalize_name(first)
    [name, *_] = packages_distributions()[first]
    return canonicalize_name(name)


@pytest.mark.parametrize("path", lock.project_files(tree.ROOT), ids=tree.name_of)
def test_each_distribution_says_what_it_is(path: Path) -> None:
    about = project(path)
    assert about["build-system"]["build-backend"] == "hatchling.build"
    assert about["project"]["license"] == "Apache-2.0"
    assert about["project"]["requires-python"] == ">=3.11"
    assert about["project"]["description"].endswith(".")


def test_each_plugin_has_one_entry_point_and_asks_for_our_series() -> None:
    for path in lock.project_files(tree.ROOT)[1:]:
        about = project(path)["project"]
        name = about["name"].removeprefix("diegod-").replace("-", "_")
        assert about["entry-points"]["diegod"] == {name: f"diegod_{name}"}
        assert "diegod<0.3,>=0.2.dev0" in [str(Requirement(line)) for line in about["dependencies"]]


def test_the_makefile_has_the_words_and_old_make_reads_it() -> None:
    text = (tree.ROOT / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):", text, re.MULTILINE)) >= TARGETS
    assert not re.search(r"^\.ONESHELL|\$\(file |::=|!=|&:", text, re.MULTILINE)


def test_generated_code_is_what_the_protos_say() -> None:
    command = ["sh", "tools/generate.sh", "--check"]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_knows_a_package_index_or_this_machine() -> None:
    clone = str(tree.ROOT)
    found = []
    for path in tree.text_files():
        text = path.read_text(encoding="utf-8")
        found += [f"{tree.name_of(path)}: {place}" for place in (clone, *_PLACES) if place in text]
    assert found == []


def test_no_file_names_a_strange_site() -> None:
    found = []
    for path in tree.text_files():
        for site in re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8")):
            if not SITES.fullmatch(site):
                found.append(f"{tree.name_of(path)}: {site}")
    assert found == []
