"""Settings: defaults, precedence, and every problem at once with file, line and a hint."""

from pathlib import Path

import pytest

from diegod.config import load
from diegod.config.effective import effective
from diegod.config.load import ConfigError, load_settings
from diegod.config.rules import PortRange

BBS = """\
roles = ["bbs", "brain"]

[cluster]
name      = "prod"
endpoints = ["bbs-1.example.com:8889", "[::1]:8889"]

[node]
id        = "bbs-1"
advertise = "bbs-1.example.com"
bind      = "0.0.0.0"

[bbs]
port        = 9889
lease_ttl_s = 5
"""

CELL = """\
roles = ["cell"]
[cluster]
name = "prod"
endpoints = ["bbs-1:8889"]
[node]
id = "cell-17"
[cell]
optional_placement_tags = ["public", "ssd"]
memory_mb = 4096
disk_mb = "auto"
host_ports = "61000-61999"
container_subnet = "10.200.0.0/23"
[cell.images]
preloaded = { busybox = "/var/lib/busybox", "debian-12" = "/var/lib/debian-12.tar" }
[backends.runc]
userns = "auto"
privileged = false
"""

FAULTS = """\
roles = ["cell", "brian"]
[cluster]
name = "Prod"
endpoints = ["bbs-1"]
[node]
zone = "z2"
[cell]
memry_mb = 12
memory_mb = "much"
host_ports = "1-99999"
max_containers = true
placement_tags = ["a", "a"]
container_subnet = "10.0.0.0/31"
[cell.images]
preloaded = { busybox = 3 }
[bbs]
port = 80800
lease_ttl_s = "10"
[telemetry]
log_level = "warn"
metrics = 8890
[brain]
converge_every_s = 0
[bbbs]
port = 1
"""


def written(tmp_path: Path, text: str, name: str = "diegod.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def problems(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return [line.replace(f"{path}:", "") for line in caught.value.problems]


def test_a_file_of_members_is_read_and_defaults_fill_the_rest(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, BBS), {}).settings
    assert settings.roles == ("bbs", "brain")
    assert settings.cluster.endpoints == ("bbs-1.example.com:8889", "[::1]:8889")
    assert (settings.bbs.port, settings.bbs.raft_port, settings.bbs.lease_ttl_s) == (9889, 8892, 5)
    assert (settings.brain.strategy, settings.brain.converge_every_s) == ("spread", 30)
    assert settings.telemetry.metrics == "127.0.0.1:8890"
    assert settings.tls.dir == "/etc/diegod/tls"


def test_a_file_of_a_cell_is_read(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, CELL), {}).settings
    cell = settings.cell
    assert (cell.memory_mb, cell.disk_mb) == (4096, None)
    assert cell.host_ports == PortRange(61_000, 61_999)
    assert cell.container_subnet == "10.200.0.0/23"
    assert dict(cell.images.preloaded)["debian-12"] == "/var/lib/debian-12.tar"
    assert settings.backends["runc"] == {"userns": "auto", "privileged": False}


def test_every_problem_is_found_at_once(tmp_path: Path) -> None:
    assert problems(written(tmp_path, FAULTS)) == [
        '1 roles: "brian" is not one of bbs, brain, cell; did you mean brain?',
        '3 [cluster] name: "Prod" is not the name of a cluster '
        "(a–z 0–9 -, a letter first, at most 63)",
        '4 [cluster] endpoints: "bbs-1" is not an address (HOST:PORT)',
        "5 [node] id: is required: stable for the life of this disk",
        "8 [cell] memry_mb: unknown; did you mean memory_mb?",
        '9 [cell] memory_mb: "much" is not a whole number (nor "auto")',
        '10 [cell] host_ports: "1-99999" is not a range of ports within 1–65535, low to high',
        "11 [cell] max_containers: true is not a whole number",
        '12 [cell] placement_tags: "a" is given twice',
        '13 [cell] container_subnet: "10.0.0.0/31" is too small: at most /29 (nor "auto")',
        "15 [cell.images] preloaded: 3 is not a text",
        "17 [bbs] port: 80800 is not a port (1–65535, or 0: the system chooses)",
        '18 [bbs] lease_ttl_s: "10" is not a number of seconds',
        '20 [telemetry] log_level: "warn" is not one of debug, info, warning, error; '
        "did you mean warning?",
        "21 [telemetry] metrics: 8890 is not an address (HOST:PORT)",
        "23 [brain] converge_every_s: 0 is not within 0.1–3600",
        "24 bbbs: unknown; did you mean bbs?",
    ]


def test_a_section_that_is_missing_and_one_that_is_a_value(tmp_path: Path) -> None:
    path = written(tmp_path, 'cell = 3\n[node]\nid = "a"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert list(caught.value.problems) == [
        f"{path}:1 cell: is a section, not a value",
        f"{path} [cluster] name: is required: the trust domain of every certificate",
    ]


def test_settings_that_contradict_one_another(tmp_path: Path) -> None:
    text = '[cluster]\nname="p"\n[node]\nid="a"\nbind="0.0.0.0"\ndata_dir="here"\n'
    assert problems(written(tmp_path, f'roles = ["cell"]\n{text}')) == [
        "2 [cluster] endpoints: is required for cell: the addresses of the BBS",
        "4 [node] advertise: is required, because bind is 0.0.0.0: the name others dial",
        '7 [node] data_dir: "here" is not an absolute path',
    ]


KEYS = """\
[cluster]
name = "p"
[node]
id = "a"
[bbs.encryption]
active_key = "2026-11"
[bbs.encryption.keys]
"2026-11" = { file = "/etc/diegod/keys/2026-11.key" }
2026-05 = { file = "/etc/diegod/keys/2026-05.key" }
"""


def test_encryption_keys_are_files_by_name(tmp_path: Path) -> None:
    encryption = load_settings(written(tmp_path, KEYS), {}).settings.bbs.encryption
    assert encryption.active_key == "2026-11"
    assert dict(encryption.keys) == {
        "2026-11": "/etc/diegod/keys/2026-11.key",
        "2026-05": "/etc/diegod/keys/2026-05.key",
    }
    nothing = load_settings(written(tmp_path, BBS), {}).settings.bbs.encryption
    assert (nothing.active_key, dict(nothing.keys)) == ("", {})


def test_encryption_keys_that_can_not_be_meant(tmp_path: Path) -> None:
    text = KEYS.replace('"2026-11" = {', '"2026/11" = {').replace("/etc/diegod/keys/2026-05", "x")
    assert problems(written(tmp_path, text)) == [
        '6 [bbs.encryption] active_key: "2026-11" is not one of the keys: it needs a file there',
        '8 [bbs.encryption.keys] 2026/11: "2026/11" is not the name of a key '
        "(A–Z a–z 0–9 . _ -, at most 64)",
        '9 [bbs.encryption.keys] 2026-05: "x.key" is not an absolute path',
    ]


@pytest.mark.parametrize("key", ['"/a/path"', "{ path = \"/a\" }", "{ file = 3 }", "{}"])
def test_what_is_no_encryption_key(tmp_path: Path, key: str) -> None:
    text = KEYS.replace('{ file = "/etc/diegod/keys/2026-05.key" }', key)
    (problem,) = problems(written(tmp_path, text))
    assert problem.startswith("7 [bbs.encryption] keys: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = \nb = 1", "1 not TOML: Invalid value"),
        ("[a]\nb = 1\nb = 2\n", "3 not TOML: Cannot overwrite"),
    ],
)
def test_what_is_no_toml_says_where(tmp_path: Path, text: str, found: str) -> None:
    (line,) = problems(written(tmp_path, text))
    assert line.startswith(found)


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "nothing.toml"
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load_settings(path, {})
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(path, {})


def test_the_environment_wins_over_files(tmp_path: Path) -> None:
    environ = {
        "DIEGOD_BBS__PORT": "7000",
        "DIEGOD_NODE__ID": "17",
        "DIEGOD_CLUSTER__ENDPOINTS": '["a:1"]',
        "DIEGOD_CELL__IMAGES__PRELOADED__BUSYBOX": "/srv/busybox",
        "DIEGOD_CONTEXT": "not ours",
    }
    loaded = load_settings(written(tmp_path, BBS), environ)
    assert loaded.settings.bbs.port == 7000
    assert loaded.settings.node.id == "17"
    assert loaded.settings.cluster.endpoints == ("a:1",)
    assert loaded.settings.cell.images.preloaded == {"busybox": "/srv/busybox"}
    assert loaded.origins["bbs", "port"] == "DIEGOD_BBS__PORT"


def test_a_problem_of_the_environment_names_the_variable(tmp_path: Path) -> None:
    environ = {"DIEGOD_BBS__PROT": "1", "DIEGOD_BBS__PORT": "many"}
    assert problems(written(tmp_path, BBS), environ) == [
        'DIEGOD_BBS__PORT [bbs] port: "many" is not a port (1–65535, or 0: the system chooses)',
        "DIEGOD_BBS__PROT [bbs] prot: unknown; did you mean port?",
    ]


def test_drop_ins_win_over_the_main_file_key_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = written(tmp_path, BBS)
    (tmp_path / "conf.d").mkdir()
    written(tmp_path, "[bbs]\nport = 1\nraft_port = 2\n", "conf.d/10-a.toml")
    last = written(tmp_path, "[bbs]\n\nport = 3\n", "conf.d/20-b.toml")
    monkeypatch.setattr(load, "DEFAULT_FILE", main)
    loaded = load_settings(None, {})
    assert (loaded.settings.bbs.port, loaded.settings.bbs.raft_port) == (3, 2)
    assert loaded.settings.bbs.lease_ttl_s == 5
    assert loaded.origins["bbs", "port"] == f"{last}:3"


def test_a_named_file_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    written(tmp_path, "[bbs]\nport = 1\n", "conf.d/10-a.toml")
    assert load_settings(written(tmp_path, BBS), {}).settings.bbs.port == 9889


def test_what_holds_is_told_with_its_origin(tmp_path: Path) -> None:
    path = written(tmp_path, CELL)
    rows = {row.key: row for row in effective(load_settings(path, {"DIEGOD_BRAIN__PORT": "1"}))}
    assert (rows["cell.memory_mb"].value, rows["cell.memory_mb"].origin) == (4096, f"{path}:9")
    assert (rows["cell.disk_mb"].text, rows["cell.disk_mb"].origin) == ('"auto"', f"{path}:10")
    assert (rows["cell.host_ports"].text, rows["cell.port"].origin) == ('"61000-61999"', "default")
    assert (rows["brain.port"].value, rows["brain.port"].origin) == (1, "DIEGOD_BRAIN__PORT")
    assert rows["backends"].value == {"runc": {"userns": "auto", "privileged": False}}
    assert [key for key, row in rows.items() if key.startswith("tls") and not row.is_set] == [
        "tls.dir"
    ]


def test_automatic_backups_are_set_beneath_the_bbs(tmp_path: Path) -> None:
    file = tmp_path / "diegod.toml"
    section = """
[bbs.backup]
directory  = "/var/backups/diegod"
every_h    = 0.5
keep       = 5
keep_for_h = 48
after      = ["cp", "{file}", "/mnt", "/mnt"]
"""
    file.write_text(BBS + section)
    backup = load_settings(file, {}).settings.bbs.backup
    assert (backup.directory, backup.every_h, backup.keep) == ("/var/backups/diegod", 0.5, 5)
    assert backup.keep_for_h == 48
    assert backup.after == ("cp", "{file}", "/mnt", "/mnt")  # a word may be there twice


def test_without_the_section_there_are_none(tmp_path: Path) -> None:
    file = tmp_path / "diegod.toml"
    file.write_text(BBS)
    backup = load_settings(file, {}).settings.bbs.backup
    assert (backup.directory, backup.every_h, backup.keep, backup.after) == ("", 6.0, 28, ())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('directory = "backups"', "is not an absolute path"),
        ("every_h = 0", "is not within"),
        ('every_h = "6"', "is not a number of hours"),
        ("keep = 0", "is not within"),
        ('after = "cp {file} /mnt"', "is not a list of words, the program first"),
        ("after = [1]", "is not a text"),
    ],
)
def test_a_wrong_setting_of_backups_is_named(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "diegod.toml"
    file.write_text(f"{BBS}[bbs.backup]\n{line}\n")
    with pytest.raises(ConfigError) as error:
        load_settings(file, {})
    (problem,) = error.value.problems
    assert why in problem
    assert "bbs.backup" in problem
