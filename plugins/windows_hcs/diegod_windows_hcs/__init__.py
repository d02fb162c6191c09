"""Containers by the Windows Host Compute Service: the hook with the name, and why not yet."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from diegod.contracts.backend import BackendError, ContainerBackend, Owner
from diegod.plugins import BackendPlugin, hookimpl

NOT_YET = "not in this release"


def _refuse(owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> ContainerBackend:
    raise BackendError(f"backend windows_hcs is {NOT_YET}: use runc or exec")


@hookimpl
def diegod_backends() -> Iterator[BackendPlugin]:
    yield BackendPlugin(
        name="windows_hcs",
        interface_version=1,
        factory=_refuse,
        description="containers by the Windows Host Compute Service",
        platforms=("win32",),
        unavailable=NOT_YET,
    )
