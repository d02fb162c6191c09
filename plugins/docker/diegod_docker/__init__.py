"""Containers by a Docker Engine, for diegod: the hook that offers the name and says why not yet."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from diegod.contracts.backend import BackendError, ContainerBackend, Owner
from diegod.plugins import BackendPlugin, hookimpl

NOT_YET = "not in this release"


def _refuse(owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> ContainerBackend:
    raise BackendError(f"backend docker is {NOT_YET}: use runc or exec")


@hookimpl
def diegod_backends() -> Iterator[BackendPlugin]:
    yield BackendPlugin(
        name="docker",
        interface_version=1,
        factory=_refuse,
        description="containers by a Docker Engine",
        unavailable=NOT_YET,
    )
