"""Crash-point records on disk: one small file a container.

Written aside, synced, renamed, and the folder synced; so a reader finds the old record or the new
one, whole. What a record means is `core/crash_points.py`. A file that can't be read (bit rot, a
newer version) is no reason to run anything again: it counts as `started`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diegod.cellruntime.core.crash_points import Phase, Record, StopRule, Verb, Verdict
from diegod.cellruntime.core.keys import InstanceKey, Key, StrayKey, TaskKey, key_of_handle
from diegod.cellruntime.ports import RunBlocking
from diegod.contracts.backend import PortSpec

FORMAT = 1
_SUFFIX = ".json"
_ASIDE = ".new"


class FileRecords:
    """Implements `ports.Records` in a folder of its own."""

    def __init__(self, folder: Path, run_blocking: RunBlocking) -> None:
        self._folder = folder
        self._run_blocking = run_blocking

    async def load(self) -> Sequence[Record]:
        return await self._run_blocking(self._load)

    async def write(self, record: Record) -> None:
        await self._run_blocking(lambda: self._write(record))

    async def remove(self, handle: str) -> None:
        # Not synced: a record that comes back after a crash leads to a report that is refused.
        await self._run_blocking(lambda: self._path(handle).unlink(missing_ok=True))

    def _path(self, handle: str) -> Path:
        return self._folder / f"{handle}{_SUFFIX}"

    def _load(self) -> list[Record]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for aside in sorted(self._folder.glob(f"*{_ASIDE}")):
            aside.unlink()
        return [_read(path) for path in sorted(self._folder.glob(f"*{_SUFFIX}"))]

    def _write(self, record: Record) -> None:
        path = self._path(record.handle)
        aside = path.with_name(path.name + _ASIDE)
        with aside.open("wb") as file:
            file.write(encode(record))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(self._folder)


def _sync_folder(folder: Path) -> None:
    """So that the new name is on disk as well; Windows has no way and no need."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Record:
    handle = path.name.removesuffix(_SUFFIX)
    try:
        return decode(path.read_bytes())
    except (ValueError, KeyError, TypeError):
        return Record(handle, key_of_handle(handle), Phase.STARTED)


def encode(record: Record) -> bytes:
    """The envelope names the format, so that a later version can tell."""
    body = {
        "handle": record.handle,
        "key": _key_fields(record.key),
        "phase": record.phase.value,
        "row_revision": record.row_revision,
        "fencing_token": record.fencing_token,
        "memory_mb": record.memory_mb,
        "disk_mb": record.disk_mb,
        "ports": [[port.name, port.container_port, port.host_port] for port in record.ports],
        "address": record.address,
        "stop_signal": record.stop.signal,
        "stop_timeout_s": record.stop.timeout_s,
        "started_boottime_s": record.started_boottime_s,
        "result_file": record.result_file,
        "verdict": _verdict_fields(record.verdict),
    }
    return json.dumps({"format": FORMAT, "record": body}).encode() + b"\n"


def decode(data: bytes) -> Record:
    """Raises ValueError, KeyError or TypeError for anything that `encode` did not write."""
    envelope = json.loads(data)
    if envelope["format"] != FORMAT:
        raise ValueError(f"format {envelope['format']} is not {FORMAT}")
    body = envelope["record"]
    return Record(
        handle=body["handle"],
        key=_key(body["key"]),
        phase=Phase(body["phase"]),
        row_revision=body["row_revision"],
        fencing_token=body["fencing_token"],
        memory_mb=body["memory_mb"],
        disk_mb=body["disk_mb"],
        ports=tuple(PortSpec(*port) for port in body["ports"]),
        address=body["address"],
        stop=StopRule(body["stop_signal"], body["stop_timeout_s"]),
        started_boottime_s=body["started_boottime_s"],
        result_file=body.get("result_file", ""),  # an agent before this one did not write it
        verdict=_verdict(body["verdict"]),
    )


def _key_fields(key: Key) -> dict[str, Any]:
    match key:
        case TaskKey():
            return {"task_guid": key.task_guid, "attempt": key.attempt}
        case InstanceKey():
            return {
                "process_guid": key.process_guid,
                "index": key.index,
                "instance_guid": key.instance_guid,
            }
        case StrayKey():
            return {"handle": key.handle}


def _key(fields: Mapping[str, Any]) -> Key:
    if "task_guid" in fields:
        return TaskKey(**fields)
    return InstanceKey(**fields) if "instance_guid" in fields else StrayKey(**fields)


def _verdict_fields(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "verb": verdict.verb.value,
        "reason": verdict.reason,
        "failed": verdict.failed,
        "outcome_unknown": verdict.outcome_unknown,
        "exit_status": verdict.exit_status,
        "failure": verdict.failure,
        "result": verdict.result,
    }


def _verdict(fields: Mapping[str, Any] | None) -> Verdict | None:
    if fields is None:
        return None
    return Verdict(**{**fields, "verb": Verb(fields["verb"])})
