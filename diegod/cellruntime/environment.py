"""What a container sees and is told: its environment and its specification. Pure.

Diego's names (`INSTANCE_*`, `CF_INSTANCE_*`) and ours (`DIEGOD_*`). What says who the container is
can't be changed by its definition, since the fencing token is only worth something if it is true;
`PATH` and `PORT` are defaults.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.cellruntime.core.states import CellFacts
from diegod.cellruntime.core.work import Definition, Work
from diegod.contracts.backend import ContainerSpec, Limits, Owner, PortSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOSTNAME_MAX = 63


def container_spec(work: Work, facts: CellFacts, owner: Owner, directory: Path) -> ContainerSpec:
    """Everything that the backend is told, from a definition that has its defaults."""
    definition = work.definition
    run = definition.action.run
    return ContainerSpec(
        handle=work.handle,
        owner=owner,
        directory=directory,
        rootfs=definition.rootfs,
        argv=(run.path, *run.args),
        env=environment(work, facts),
        working_dir=run.dir,
        user=run.user,
        hostname=_hostname(work.key),
        limits=_limits(definition),
        ports=work.ports,
        labels=_labels(work.key),
    )


def environment(work: Work, facts: CellFacts) -> dict[str, str]:
    """Defaults, then what the definition says, then what nobody may change."""
    return {
        "PATH": DEFAULT_PATH,
        **_default_port(work.ports, facts),
        **work.definition.environment_variables,
        **work.definition.action.run.env,
        **_addresses(work, facts),
        **_identity(work, facts),
    }


def bind_port(port: PortSpec, facts: CellFacts) -> int:
    """The port that the program must listen on: its own, or one of the host's."""
    return port.container_port if facts.network_namespace else port.host_port


def _default_port(ports: tuple[PortSpec, ...], facts: CellFacts) -> dict[str, str]:
    return {"PORT": str(bind_port(ports[0], facts))} if ports else {}


def _addresses(work: Work, facts: CellFacts) -> dict[str, str]:
    internal = work.address if facts.network_namespace and work.address else facts.address
    first = work.ports[0].host_port if work.ports else None
    pairs = [{"external": p.host_port, "internal": bind_port(p, facts)} for p in work.ports]
    return {
        "CF_INSTANCE_IP": facts.address,
        "CF_INSTANCE_INTERNAL_IP": internal,
        "CF_INSTANCE_PORT": str(first) if first else "",
        "CF_INSTANCE_ADDR": f"{facts.address}:{first}" if first else "",
        "CF_INSTANCE_PORTS": json.dumps(pairs, separators=(",", ":")),
        **{f"DIEGOD_PORT_{p.name.upper()}": str(bind_port(p, facts)) for p in work.ports},
    }


def _identity(work: Work, facts: CellFacts) -> dict[str, str]:
    key = work.key
    if isinstance(key, TaskKey):
        return {
            "DIEGOD_CELL_ID": facts.cell_id,
            "DIEGOD_TASK_GUID": key.task_guid,
            "DIEGOD_ATTEMPT": str(key.attempt),
            "DIEGOD_FENCING_TOKEN": str(work.fencing_token),
        }
    return {
        "DIEGOD_CELL_ID": facts.cell_id,
        "DIEGOD_PROCESS_GUID": key.process_guid,
        "INSTANCE_GUID": key.instance_guid,
        "INSTANCE_INDEX": str(key.index),
        "CF_INSTANCE_GUID": key.instance_guid,
        "CF_INSTANCE_INDEX": str(key.index),
    }


def _limits(definition: Definition) -> Limits:
    return Limits(
        memory_mb=definition.memory_mb,
        cpu_weight=definition.cpu_weight,
        max_pids=definition.max_pids,
        disk_mb=definition.disk_mb,
    )


def _hostname(key: TaskKey | InstanceKey) -> str:
    """A host name of at most 63 characters that people recognise."""
    if isinstance(key, TaskKey):
        name = key.task_guid
    else:
        name = f"{key.process_guid[: _HOSTNAME_MAX - 12]}-{key.index}"
    return name.replace("_", "-")[:_HOSTNAME_MAX].strip("-") or "container"


def _labels(key: TaskKey | InstanceKey) -> Mapping[str, str]:
    if isinstance(key, TaskKey):
        return {"kind": "task", "guid": key.task_guid, "attempt": str(key.attempt)}
    return {
        "kind": "lrp",
        "guid": key.process_guid,
        "index": str(key.index),
        "instance_guid": key.instance_guid,
    }
