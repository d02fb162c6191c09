"""The root: help, laziness, roles."""

import subprocess
import sys
from pathlib import Path

import pytest

from diegod import __version__
from diegod.cli.app import COMMANDS
from tests.unit.cli.conftest import Run

MODULES = ("grpc", "cryptography", "ruamel", "numpy", "lmdb", "structlog")


def a_process(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "diegod", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd())},
    )


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from diegod.cli.app import run; run(['--help']); "
        f"print([m for m in {MODULES} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stderr.strip() == "[]"


def test_stderr_of_a_process_has_nothing_of_grpc(tmp_path: Path) -> None:
    done = a_process("version", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_a_usage_error_of_a_process(tmp_path: Path) -> None:
    done = a_process("tsk", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'diegod: there is no command "tsk". Did you mean "task"?\n'


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_root_prints_its_help(words: list[str], run: Run) -> None:
    result = run(*words)
    assert (result.status, result.err) == (0, "")
    for rows in COMMANDS.values():
        for name, _, about in rows:
            assert name in result.text
            assert about in result.text
    assert "--role=ROLE" in result.text


def test_a_config_file_in_the_environment_does_not_start_anything(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIEGOD_CONFIG", "/nowhere.toml")
    assert run().text.startswith("Usage: diegod COMMAND")


@pytest.mark.parametrize(
    "noun", ["task", "lrp", "cell", "bbs", "ca", "config", "context", "plugin", "api"]
)
def test_a_bare_noun_prints_its_help(noun: str, run: Run) -> None:
    bare, asked = run(noun), run(noun, "-h")
    assert (bare.status, bare.err) == (0, "")
    assert bare.text.startswith(f"Usage: diegod {noun} ")
    assert bare.text.strip() == asked.text.strip()


@pytest.mark.parametrize(
    "words",
    [
        [name, *verb]
        for name, verbs in {
            "task": ["run", "submit", "ls", "show", "logs", "wait", "cancel", "rm"],
            "lrp": ["run", "apply", "ls", "ps", "show", "scale", "logs", "rm"],
            "cell": ["ls", "show"],
            "bbs": ["init", "status"],
            "ca": ["init", "csr", "sign", "issue", "inspect"],
            "config": ["check", "show"],
            "context": ["ls", "use", "show", "add", "rm"],
            "plugin": ["ls"],
            "api": ["export"],
        }.items()
        for verb in [[each] for each in verbs]
    ]
    + [["events"], ["doctor"], ["version"]],
)
def test_every_command_has_help_and_the_common_options(words: list[str], run: Run) -> None:
    result = run(*words, "-h")
    assert (result.status, result.err) == (0, "")
    for option in ("--output", "--context", "--quiet", "--debug", "--no-color", "--timeout-s"):
        assert option in result.text


def test_version_flag(run: Run) -> None:
    assert run("--version").text == f"diegod {__version__}\n"


def test_a_role_on_a_bare_machine_says_both_ways(run: Run, home: Path) -> None:
    result = run("--role=cell", "--config", str(home / "nothing.toml"))
    assert (result.status, result.out) == (2, b"")
    assert "diegod config check FILE" in result.err
    assert "diegod dev" in result.err


def test_roles_get_what_the_command_line_says(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], Path | None]] = []

    def run_roles(roles: list[str], config: Path | None) -> int:
        started.append((list(roles), config))
        return 78

    monkeypatch.setattr("diegod.node.run.run_roles", run_roles)
    file = home / "diegod.toml"
    file.write_text("")
    assert run("--role=bbs", "--role", "brain", "--config", str(file)).status == 78
    assert run("--config", str(file)).status == 78
    assert started == [(["bbs", "brain"], file), ([], file)]


def test_a_role_that_does_not_run_is_not_ready(run: Run, home: Path) -> None:
    run("ca", "init", "--cluster", "prod", "--dir", "ca")
    run("ca", "issue", "cell", "cell-1", "--host", "127.0.0.1", "--dir", "ca", "--out", "tls")
    (home / "diegod.toml").write_text(
        f'roles = ["cell"]\n[cluster]\nname = "prod"\nendpoints = ["127.0.0.1:1"]\n'
        f'[node]\nid = "cell-1"\n[tls]\ndir = "{home}/tls"\n[cell]\nport = 1\n'
    )
    result = run("--check", "--config", "diegod.toml")
    assert (result.status, result.out) == (1, b"")
    assert "cell: no answer from 127.0.0.1:1 (connection refused)" in result.err
    assert result.err.endswith("diegod: not ready: 1 of 1 roles\n")
