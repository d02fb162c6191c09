"""`diegod context …`: from add to rm."""
# ruff: noqa: E501 - a table of exact lines, one row a line

import json
from pathlib import Path

import pytest

from diegod.config.contexts import read_contexts
from tests.unit.cli.conftest import Run


@pytest.fixture
def alice(run: Run, home: Path) -> Path:
    run("ca", "init", "--cluster", "prod", "--dir", "ca")
    issued = run("ca", "issue", "user", "alice", "--dir", "ca", "--out", "alice")
    assert "diegod context add prod --address HOST:8889 --cert alice" in issued.err
    return home / "alice"


def test_contexts_from_add_to_rm(run: Run, alice: Path, home: Path) -> None:
    added = run("context", "add", "prod", "--address", "a:1", "--address", "b:2", "--cert", "alice")
    assert added.err == 'context "prod" (user/alice of cluster prod) is current\n'
    run("context", "add", "other", "--address", "c:3", "--cert", "alice", "-d", "shop")
    rows = [json.loads(line) for line in run("context", "ls", "-o", "json").text.splitlines()]
    assert [(row["name"], row["current"], row["addresses"]) for row in rows] == [
        ("other", False, ["c:3"]),
        ("prod", True, ["a:1", "b:2"]),
    ]
    assert rows[1]["client_key"] == str(alice / "user.key")
    assert run("context", "use", "other").status == 0
    assert "c:3" in run("context", "show").text
    assert run("context", "rm", "other").status == 0
    known = read_contexts(home / ".config" / "diegod" / "config.toml")
    assert (known.current, list(known.contexts)) == ("", ["prod"])
    missing = run("context", "use", "prd")
    assert (missing.status, missing.err) == (
        2,
        'diegod: there is no context "prd". Did you mean prod?\n',
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--address", "a", "--cert", "alice"], '--address: "a" is not an address (HOST:PORT)'),
        (["--address", "a:1"], "who are you? Give --cert DIR, or --cacert, --client-cert and --client-key"),
    ],
)  # fmt: skip
def test_a_context_that_could_not_work_is_not_added(
    arguments: list[str], line: str, run: Run, alice: Path, home: Path
) -> None:
    result = run("context", "add", "prod", *arguments)
    assert (result.status, result.err) == (2, f"diegod: {line}\n")
    assert not (home / ".config").exists()
