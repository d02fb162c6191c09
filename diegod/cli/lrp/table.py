"""One LRP for a person: what is desired, a line each."""

from collections.abc import Iterator

from diegod.cli.record.views import dependency_text, lrp_note, other_states, running_of
from diegod.cli.terminal.quantities import amount_mb
from diegod.v1.definition_pb2 import Check
from diegod.v1.record_pb2 import DesiredLrp


def lrp_fields(lrp: DesiredLrp) -> Iterator[tuple[str, str]]:
    """Name and value; what is not known is empty."""
    resources, definition = lrp.needs.resources, lrp.definition
    run = definition.action.run
    others = other_states(lrp)
    yield "lrp", lrp.process_guid
    yield "domain", lrp.domain
    yield "running", running_of(lrp) + (f"  ({others})" if others else "")
    yield "rootfs", definition.rootfs
    yield "command", " ".join([run.path, *run.args])
    yield "ports", " ".join(f"{p.name}:{p.container_port}" for p in definition.ports)
    yield "checks", " ".join(_check(each) for each in definition.check_definition.checks)
    yield (
        "each reserves",
        f"{amount_mb(resources.memory_mb)}, {amount_mb(resources.disk_mb)} of disk",
    )
    yield "waits for", ", ".join(dependency_text(each) for each in lrp.depends_on)
    yield "annotation", definition.annotation
    yield "version", str(lrp.version or "")
    yield "state", lrp_note(lrp)
    yield "definition", f"revision {lrp.definition_revision}"
    yield "revision", str(lrp.provenance.revision)
    yield "last changed by", lrp.provenance.by
    yield "because", lrp.provenance.cause


def _check(check: Check) -> str:
    kind = check.WhichOneof("check")
    if kind == "http_check":
        return f"http:{check.http_check.port}{check.http_check.path}"
    if kind == "tcp_check":
        return f"tcp:{check.tcp_check.port}"
    return f"command:{check.command_check.path}"
