"""What a leader takes on, and what it still serves when it is short of something."""

from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import Command
from diegod.raftbbs.core import RULES
from diegod.raftbbs.core.load_limits import (
    MAKES_ROOM,
    NEW_WORK,
    Load,
    LoadLimits,
    refusal,
    short_of_disk,
)

LIMITS = LoadLimits(queued_writes=10, queued_bytes=1000, backlog_entries=100, free_disk_bytes=4000)
IDLE = Load(queued_writes=0, queued_bytes=0, backlog_entries=0, free_disk_bytes=1 << 40)


def _commands(*kinds: str) -> list[Command]:
    commands = [Command() for _ in kinds]
    for command, kind in zip(commands, kinds, strict=True):
        getattr(command, kind).SetInParent()
    return commands


def _load(**changed: int) -> Load:
    fields: dict[str, Any] = {name: getattr(IDLE, name) for name in Load.__slots__}
    return Load(**fields | changed)


def test_an_idle_leader_takes_everything() -> None:
    for kind in RULES:
        assert refusal(_commands(kind), IDLE, LIMITS) == ""


@pytest.mark.parametrize("kind", ["desire_task", "delete_task"])
@pytest.mark.parametrize("load", [_load(queued_writes=10), _load(queued_bytes=1000)])
def test_a_full_queue_takes_nothing(load: Load, kind: str) -> None:
    assert "waiting already" in refusal(_commands(kind), load, LIMITS)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_each_kind_of_command_when_new_work_is_refused(kind: str) -> None:
    refused = refusal(_commands(kind), _load(free_disk_bytes=3999), LIMITS)
    assert bool(refused) == (kind in NEW_WORK)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_each_kind_of_command_when_nothing_but_room_is_wanted(kind: str) -> None:
    refused = refusal(_commands(kind), _load(free_disk_bytes=999), LIMITS)
    assert bool(refused) == (kind not in MAKES_ROOM)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_each_kind_of_command_when_the_log_runs_ahead(kind: str) -> None:
    refused = refusal(_commands(kind), _load(backlog_entries=100), LIMITS)
    assert bool(refused) == (kind not in MAKES_ROOM)


def test_one_write_of_new_work_spoils_the_batch() -> None:
    load = _load(free_disk_bytes=3999)
    assert refusal(_commands("delete_task", "desire_task"), load, LIMITS)
    assert not refusal(_commands("delete_task", "start_task"), load, LIMITS)


def test_the_edge_of_too_little_disk() -> None:
    assert not short_of_disk(_load(free_disk_bytes=4000), LIMITS)
    assert short_of_disk(_load(free_disk_bytes=3999), LIMITS)


def test_what_is_named_is_a_command() -> None:
    assert set(RULES) >= NEW_WORK | MAKES_ROOM
    assert not NEW_WORK & MAKES_ROOM
