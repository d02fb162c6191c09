"""Rules for source files that no linter knows: docstrings, banned calls, names that say nothing."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.repo import tree
from tests.repo.sources import imported

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@dataclass(frozen=True)
class Ban:
    """`name`: an imported module, or a dotted call. `allowed_in`: the one folder that may."""

    name: str
    instead: str
    allowed_in: str = ""


IMPORTS = (
    Ban("pickle", "protobuf messages; unpickling runs code"),
    Ban("marshal", "protobuf messages"),
    Ban("shelve", "the LMDB store"),
    Ban("time", "a `Clock`, or an argument `now`", "diegod/world"),
    Ban("random", "an `Ids`", "diegod/world"),
    Ban("secrets", "an `Ids`", "diegod/world"),
    Ban("uuid", "an `Ids`", "diegod/world"),
)
CALLS = (
    Ban("os.system", "subprocess with a list"),
    Ban("os.popen", "subprocess with a list"),
    Ban("subprocess.getoutput", "subprocess.run with a list"),
    Ban("subprocess.getstatusoutput", "subprocess.run with a list"),
    Ban("asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec"),
    Ban("datetime.now", "a `Clock`", "diegod/world"),
    Ban("datetime.utcnow", "a `Clock`", "diegod/world"),
    Ban("datetime.datetime.now", "a `Clock`", "diegod/world"),
)


def violations(source: str, name: str) -> list[str]:
    """What `source`, the file called `name`, may not do, one line each."""
    module = ast.parse(source)
    found = [*_imports(module, name), *_calls(module, name), *_silent_handlers(module)]
    return [f"{name}:{line} {what}" for line, what in sorted(found)]


def _imports(module: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    for line, what in imported(module):
        for ban in IMPORTS:
            if what.partition(".")[0] == ban.name and not _may(ban, name):
                yield line, f"imports {ban.name}; use {ban.instead}"


def _calls(module: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        for ban in CALLS:
            if called == ban.name and not _may(ban, name):
                yield node.lineno, f"calls {ban.name}; use {ban.instead}"
        if any(word.arg == "shell" and _is_true(word.value) for word in node.keywords):
            yield node.lineno, "passes shell=True; use a list"


def _is_true(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


def _silent_handlers(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and _does_nothing(node):
            yield node.lineno, "swallows every exception; name the ones that are meant"


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def _does_nothing(handler: ast.ExceptHandler) -> bool:
    return all(isinstance(step, ast.Pass | ast.Continue) for step in handler.body)


def _may(ban: Ban, name: str) -> bool:
    return bool(ban.allowed_in) and name.startswith(ban.allowed_in + "/")


def test_each_module_says_what_it_is_for() -> None:
    silent = [tree.name_of(path) for path in tree.our_modules() if not _docstring(path)]
    assert silent == []


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_product_keeps_to_the_bans() -> None:
    found = [
        violation
        for path in tree.product_modules()
        for violation in violations(path.read_text(encoding="utf-8"), tree.name_of(path))
    ]
    assert found == []


def test_no_module_is_called_after_nothing() -> None:
    vague = [
        tree.name_of(path)
        for path in tree.our_modules()
        if VAGUE_NAMES & set(path.relative_to(tree.ROOT).with_suffix("").parts)
    ]
    assert vague == []


def test_there_are_modules_to_look_at() -> None:
    assert tree.ROOT / "diegod/world/clock.py" in tree.product_modules()
    assert Path(__file__) in tree.our_modules()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import time",
        "import os.path, uuid",
        "run('ls', shell=True)",
        "run('ls', shell=flag)",
        "os.system('ls')",
        "at = datetime.now(UTC)",
        "try:\n    f()\nexcept Exception:\n    pass",
        "for x in y:\n    try:\n        f()\n    except:\n        continue",
    ],
)
def test_each_ban_bites(source: str) -> None:
    assert len(violations(source, "diegod/rpc/server.py")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from . import time",
        "run(['ls'], shell=False)",
        "except_ = Exception",
        "self.clock.time()",
    ],
)
def test_no_ban_bites_what_is_fine(source: str) -> None:
    assert violations(source, "diegod/rpc/server.py") == []


def test_the_door_is_open_where_it_belongs() -> None:
    assert violations("import time", "diegod/world/clock.py") == []
    assert violations("import time", "diegod/worldly.py") != []
