"""Containers with runc, for diegod: the hook that offers this backend, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from diegod.contracts.backend import ContainerBackend, Finding, Owner
from diegod.plugins import BackendPlugin, hookimpl


def _make(owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> ContainerBackend:
    from diegod_runc.backend import RuncBackend  # only now: a cell may use another backend

    return RuncBackend(owner, state_dir, settings)


def _problems() -> Sequence[Finding]:
    from diegod_runc.doctor import problems

    return problems()


@hookimpl
def diegod_backends() -> Iterator[BackendPlugin]:
    from diegod_runc.settings import SCHEMA

    yield BackendPlugin(
        name="runc",
        interface_version=1,
        factory=_make,
        description="containers with runc: namespaces, cgroups, an address of their own",
        settings_schema=SCHEMA,
        platforms=("linux",),
        problems=_problems,
    )
