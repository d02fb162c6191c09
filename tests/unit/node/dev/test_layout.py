"""Where a dev cluster keeps what: made once, read by every later start, and never half."""

import json
from pathlib import Path

import pytest

from diegod.config.load import load_settings
from diegod.node.dev import layout as layouts
from diegod.node.dev.layout import Layout, create, load
from diegod.security.credentials import load_identity
from diegod.security.identity import Role
from diegod.world import SystemClock


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    directory = tmp_path_factory.mktemp("layout") / "dev"
    return create("dev", directory, "exec", 3, 2, "c0ffee", SystemClock())


def test_it_is_read_as_it_was_made(made: Layout) -> None:
    assert load(made.directory) == made
    assert [part.name for part in made.parts] == [
        "bbs-1",
        "bbs-2",
        "bbs-3",
        "brain-1",
        "cell-1",
        "cell-2",
    ]


def test_where_there_was_none_or_it_did_not_get_that_far(tmp_path: Path) -> None:
    assert load(tmp_path / "nowhere") is None
    (tmp_path / "ca").mkdir()
    assert load(tmp_path) is None


def test_every_part_has_settings_that_can_be_used(made: Layout) -> None:
    for part in made.parts:
        settings = load_settings(made.config(part), {}).settings
        assert (settings.roles, settings.node.id) == ((part.role,), part.name)
        assert settings.cluster.endpoints == tuple(made.bbs_addresses)
        assert (settings.node.bind, settings.telemetry.metrics) == ("127.0.0.1", "")
        assert Path(settings.node.data_dir).parent == made.part_dir(part)
        own = {"bbs": settings.bbs, "brain": settings.brain, "cell": settings.cell}[part.role]
        assert own.port == part.port  # type: ignore[attr-defined]


def test_every_part_and_the_user_can_prove_who_they_are(made: Layout) -> None:
    now = SystemClock().wall()
    for part in made.parts:
        identity = load_identity(made.part_dir(part) / "tls", Role(part.role), now, "dev")
        assert identity.principal.id == part.name
    assert str(load_identity(made.client_dir, Role.USER, now, "dev").principal) == "user/dev"


def test_no_two_parts_share_a_port(made: Layout) -> None:
    ports = [port for part in made.parts for port in (part.port, part.raft_port) if port]
    assert len(set(ports)) == len(ports) == 3 * 2 + 1 + 2


def test_cells_have_ranges_of_host_ports_of_their_own(made: Layout) -> None:
    ranges = [tuple(map(int, part.host_ports.split("-"))) for part in made.of_role("cell")]
    (first, last), (other_first, other_last) = ranges
    assert first < last < other_first < other_last
    assert first >= 61_000
    assert other_last < 65_536


@pytest.mark.parametrize("cells", [1, 3, 16])
def test_the_ranges_of_many_cells_do_not_overlap(tmp_path: Path, cells: int) -> None:
    layout = create("dev", tmp_path / "dev", "exec", 1, cells, "c0ffee", SystemClock())
    taken = [
        port
        for part in layout.of_role("cell")
        for port in range(*map(int, part.host_ports.split("-")))
    ]
    assert len(set(taken)) == len(taken)
    assert max(taken) < 65_536


def test_nobody_else_can_read_keys_and_settings(made: Layout) -> None:
    assert made.directory.stat().st_mode & 0o077 == 0
    private = [*made.directory.rglob("*.key"), *made.directory.rglob("*.toml")]
    assert len(private) == 1 + 1 + 6 + 6  # the CA's, the user's, each part's; each part's settings
    assert [file for file in private if file.stat().st_mode & 0o077] == []


def test_a_start_that_was_killed_midway_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is kept: the same CA signs what is still missing."""
    directory = tmp_path / "dev"
    calls = 0
    whole = layouts._furnish

    def killed_at_the_third(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(layouts, "_furnish", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        create("dev", directory, "exec", 1, 2, "one", SystemClock())
    assert load(directory) is None
    ca = (directory / "ca" / "ca.crt").read_bytes()
    monkeypatch.undo()
    layout = create("dev", directory, "exec", 1, 2, "two", SystemClock())
    assert (directory / "ca" / "ca.crt").read_bytes() == ca
    now = SystemClock().wall()
    for part in layout.parts:
        load_identity(layout.part_dir(part) / "tls", Role(part.role), now, "dev")
        settings = load_settings(layout.config(part), {}).settings
        assert settings.cluster.endpoints == tuple(layout.bbs_addresses)


def test_its_file_is_readable_by_people(made: Layout) -> None:
    stored = json.loads((made.directory / "cluster.json").read_text())
    assert stored["cluster_id"] == "c0ffee"
    assert [part["name"] for part in stored["parts"]] == [part.name for part in made.parts]
