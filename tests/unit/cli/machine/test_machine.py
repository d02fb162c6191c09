"""Commands that need no cluster: ca, context, config, api, plugin, doctor, bbs init."""
# ruff: noqa: E501 - a table of exact lines, one row a line

import json
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from diegod.config.contexts import read_contexts
from diegod.contracts.backend import Finding
from diegod.node import plugins
from diegod.plugins import BackendPlugin
from diegod.plugins.registry import Source, judged, registry
from diegod.testing.fake_backend import FakeBackend, FakeHost
from tests.unit.cli.conftest import Run


def test_from_an_empty_folder_to_a_signed_certificate(run: Run, home: Path) -> None:
    made = run("ca", "init", "--cluster", "prod", "--dir", "ca", "-o", "json")
    assert made.status == 0
    assert set(json.loads(made.text)) == {"cluster", "file", "sha256"}
    asked = run(
        "ca",
        "csr",
        "--role",
        "bbs",
        "--role",
        "brain",
        "--id",
        "n-1",
        "--host",
        "n-1",
        "--dir",
        "tls",
    )
    assert asked.text.split() == ["FILE", "tls/bbs.csr", "tls/brain.csr"]
    signed = run("ca", "sign", "tls/bbs.csr", "tls/brain.csr")
    assert signed.text.split() == ["FILE", "tls/bbs.crt", "tls/brain.crt"]
    row = json.loads(run("ca", "inspect", "tls/bbs.crt", "-o", "json").text)
    assert (row["uri"], row["hosts"], row["state"]) == ("spiffe://prod/bbs/n-1", ["n-1"], "valid")
    assert not (home / "ca" / "bbs.key").exists()


def test_a_refusal_of_the_ca_is_one_line(run: Run) -> None:
    result = run("ca", "sign", "nothing.csr")
    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith("diegod: the CA certificate ca/ca.crt is missing")
    assert result.err.count("\n") == 1


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


def test_the_exported_api_is_complete(run: Run, home: Path) -> None:
    result = run("api", "export", "out")
    assert result.status == 0
    files = [Path(line) for line in result.text.splitlines()]
    assert Path("out/diegod/v1/task.proto") in files
    assert all(file.stat().st_size > 0 for file in files)
    exported = FileDescriptorSet.FromString(Path("out/diegod-v1.binpb").read_bytes())
    pool = DescriptorPool()
    for file in exported.file:  # each after what it imports, or this fails
        pool.Add(file)
    assert pool.FindServiceByName("diegod.v1.TaskService").methods_by_name["Desire"]
    assert {f"out/{file.name}" for file in exported.file if "diegod" in file.name} == {
        str(file) for file in files if file.suffix == ".proto"
    }


def test_plugins_are_listed_with_their_state(run: Run) -> None:
    rows = [json.loads(line) for line in run("plugin", "ls", "-o", "json").text.splitlines()]
    by_name = {(row["kind"], row["name"]): row for row in rows}
    assert by_name["backend", "exec"]["state"] == "ready"
    assert by_name["strategy", "spread"]["distribution"] == "diegod"


def test_doctor_names_what_is_missing_and_its_cure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is the backend's to say; here, a plugin that misses something."""
    lacks = Finding("tar is not in PATH", "images can't be opened", "apt-get install tar")
    note = Finding("it is slow", "the disk", "a better one", hinders=False)
    records = [
        BackendPlugin(f"b{n}", 1, lambda owner, folder, settings: FakeBackend(owner, FakeHost()))
        for n in range(2)
    ]
    records = [
        replace(records[0], problems=lambda: [lacks, note]),
        replace(records[1], problems=lambda: [note]),
    ]
    source = Source("acme", "1.0", "acme.py")
    found = registry(judged(record, source, "linux") for record in records)
    monkeypatch.setattr(plugins, "load_all_plugins", lambda: found)
    result = run("doctor", "-o", "json")
    assert result.status == 1
    rows = [json.loads(line) for line in result.text.splitlines()]
    said = [(row["check"], row["state"], row["cure"]) for row in rows[1:]]
    assert said == [
        ("backend b0", "LACKING", "apt-get install tar"),
        ("backend b0", "note", "a better one"),
        ("backend b1", "ok", ""),
        ("backend b1", "note", "a better one"),
    ]


MEMBER = """\
[cluster]
name = "prod"
[node]
id = "{1}"
data_dir = "{0}/{1}"
"""


def test_the_first_members_are_born_with_one_cluster_id(run: Run, home: Path) -> None:
    for name in ("bbs-1", "bbs-2"):
        Path(f"{name}.toml").write_text(MEMBER.format(home, name))
    voters = ["--voter", "bbs-1=127.0.0.1", "--voter", "bbs-2=127.0.0.1:9:10"]
    first = run("bbs", "init", "--config", "bbs-1.toml", *voters, "-o", "json")
    assert first.status == 0
    cluster_id = json.loads(first.text)["cluster_id"]
    assert f"--cluster-id {cluster_id}" in first.err
    second = run(
        "bbs", "init", "--config", "bbs-2.toml", *voters, "--cluster-id", cluster_id, "-o", "name"
    )
    assert (second.status, second.text.strip()) == (0, cluster_id)
    again = run("bbs", "init", "--config", "bbs-1.toml")
    assert again.status == 1
    assert "is not empty" in again.err


@pytest.mark.parametrize("verb", [["init"], ["join", "bbs-2:8889"]])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('bind = "::0"', "advertise: is required, because bind is ::0: the name others dial"),
        ('advertise = "0.0.0.0"', "0.0.0.0 is every address of a machine: give the name"),
    ],
)
def test_a_member_that_nobody_could_dial_is_not_born(
    run: Run, home: Path, verb: list[str], settings: str, said: str
) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1") + settings + "\n")
    result = run("bbs", *verb, "--config", "c.toml")
    assert (result.status, result.out) == (2, b"")
    (problem,) = [line for line in result.err.splitlines() if "advertise" in line]
    assert said in problem
    assert not (home / "bbs-1").exists()


def test_a_voter_that_nobody_could_dial_is_refused(run: Run, home: Path) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1"))
    result = run("bbs", "init", "--config", "c.toml", "--voter", "bbs-1=0.0.0.0")
    assert result.status == 2
    assert result.err == (
        'diegod: --voter: "bbs-1=0.0.0.0" can\'t be dialled: 0.0.0.0 is every address of a '
        "machine\n"
    )


def test_a_list_of_voters_without_this_node_is_refused(run: Run, home: Path) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1"))
    result = run("bbs", "init", "--config", "c.toml", "--voter", "bbs-2=h")
    assert (result.status, result.err) == (
        2,
        "diegod: this node, bbs-1, is not among the voters\n",
    )
    assert run("bbs", "init", "--config", "c.toml", "--voter", "bbs-1").status == 2
    assert not (home / "bbs-1").exists()
