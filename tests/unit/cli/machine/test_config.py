"""`diegod config …`: problems of the settings, and what the host lacks for them."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

CONFIG = """\
roles = ["cell"]
[cluster]
name = "prod"
endpoints = ["a:1"]
[node]
id = "cell-1"
data_dir = "{0}/data"
[tls]
dir = "{0}/tls"
[cell]
backends = ["exec"]
images.preloaded = {{ gone = "/nowhere/rootfs" }}
"""


def test_config_check_lists_problems_with_their_lines(run: Run, home: Path) -> None:
    Path("c.toml").write_text(CONFIG.format(home).replace("endpoints", "endpionts"))
    result = run("config", "check", "c.toml")
    assert (result.status, result.out) == (2, b"")
    assert result.err.splitlines() == [
        "c.toml:4 [cluster] endpionts: unknown; did you mean endpoints?",
        "diegod: these settings can't be used",
    ]


def test_config_check_tells_what_the_host_lacks(run: Run, home: Path) -> None:
    Path("c.toml").write_text(CONFIG.format(home))
    result = run("config", "check", "c.toml")
    assert result.status == 1
    assert result.err.splitlines() == [
        f"{home}/tls/ca.crt is missing: diegod ca csr, then diegod ca sign",
        f"{home}/tls/cell.crt is missing: diegod ca csr, then diegod ca sign",
        f"{home}/tls/cell.key is missing: diegod ca csr, then diegod ca sign",
        "/nowhere/rootfs is missing: the rootfs preloaded:gone",
        "diegod: this host lacks something for these settings",
    ]


def test_config_check_tells_which_encryption_keys_are_no_good(run: Run, home: Path) -> None:
    text = CONFIG.format(home).replace('["cell"]', '["bbs"]').split("[cell]")[0]
    keys = f'[bbs.encryption.keys]\na = {{ file = "{home}/a" }}\nb = {{ file = "{home}/b" }}\n'
    Path("c.toml").write_text(text + keys)
    Path("b").write_text("ab" * 32)
    Path("b").chmod(0o644)
    result = run("config", "check", "c.toml")
    assert result.status == 1
    missing, readable, last = result.err.splitlines()[-3:]
    assert missing.startswith(f'the encryption key "a": {home}/a can\'t be read (no such file')
    assert readable.startswith(f'the encryption key "b": {home}/b has mode 0644: ')
    assert last == "diegod: this host lacks something for these settings"


def test_config_show_names_the_source_of_each_value(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("c.toml").write_text(CONFIG.format(home))
    monkeypatch.setenv("DIEGOD_CELL__PORT", "7")
    shown = run("config", "show", "c.toml", "-o", "json").text.splitlines()
    rows = {row["key"]: (row["value"], row["origin"]) for row in map(json.loads, shown)}
    assert rows["cell.port"] == (7, "DIEGOD_CELL__PORT")
    assert rows["cell.backends"] == (["exec"], "c.toml:11")
    assert "brain.port" not in rows
    everything = run("config", "show", "c.toml", "--effective", "-o", "name").text.split()
    assert "brain.port" in everything
