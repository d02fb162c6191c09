"""Rows and facts for the tests of standings. Time 1000 is now; everything began at 900."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.models.standing import Facts
from diegod.v1.definition_pb2 import CrashPolicy, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Drain, Rollout, Task, TaskSchedule

NOW = 1000.0
BEGAN = 900.0


def at(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(int(seconds * 1e9))
    return moment


def cell(cell_id: str = "cell-1", state: Cell.State.ValueType = Cell.PRESENT, **more: Any) -> Cell:
    return Cell(cell_id=cell_id, state=state, since=at(BEGAN), **more)


def draining(until: float) -> Cell:
    return cell(cordoned=True, drain=Drain(began_at=at(BEGAN), deadline_at=at(until)))


def lrp(**more: Any) -> DesiredLrp:
    fields: dict[str, Any] = {
        "process_guid": "web",
        "domain": "shop",
        "instances": 2,
        "definition_revision": 7,
        "version": 3,
        "crash_policy": CrashPolicy(
            immediate_restarts=2, backoff_ms=30_000, max_backoff_ms=960_000, max_restarts=200
        ),
        "update": UpdatePolicy(min_healthy_ms=5_000, progress_deadline_ms=600_000),
        "rollout": Rollout(state=Rollout.DONE, began_at=at(BEGAN)),
    }
    return DesiredLrp(**{**fields, **more})


def instance(
    state: ActualLrp.State.ValueType = ActualLrp.RUNNING,
    presence: ActualLrp.Presence.ValueType = ActualLrp.ORDINARY,
    **more: Any,
) -> ActualLrp:
    fields: dict[str, Any] = {
        "process_guid": "web",
        "domain": "shop",
        "instance_guid": "i-1",
        "definition_revision": 7,
        "since": at(BEGAN),
        "routable": state == ActualLrp.RUNNING,
    }
    if state in (ActualLrp.CLAIMED, ActualLrp.RUNNING):
        fields["cell_id"] = "cell-1"
    return ActualLrp(state=state, presence=presence, **{**fields, **more})


def task(state: Task.State.ValueType, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "task_guid": "t",
        "domain": "shop",
        "created_at": at(BEGAN),
        "since": at(BEGAN),
        "retention_ms": 3_600_000,
        "start_deadline_ms": 1_800_000,
    }
    if state == Task.RUNNING:
        fields |= {"cell_id": "cell-1", "started_at": at(BEGAN)}
    if state in (Task.COMPLETED, Task.RESOLVING):
        fields["completed_at"] = at(BEGAN)
    return Task(state=state, **{**fields, **more})


def schedule(**more: Any) -> TaskSchedule:
    return TaskSchedule(**{"name": "nightly", "cron": "0 2 * * *", "late_ms": 60_000, **more})


def facts(**more: Any) -> Facts:
    return Facts(**{"brain_id": "brain-1", "cells": {"cell-1": cell()}, "lrp": lrp(), **more})
