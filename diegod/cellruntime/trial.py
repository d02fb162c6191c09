"""The trial container: proof that this cell can run containers, before it asks for work.

Tools that are installed and do not work (runc without the rights it needs) look fine until the
first start. So each agent makes one container, from beginning to end, and gives up if it can't.
"""

from diegod.cellruntime.ports import Directories
from diegod.contracts.backend import (
    BackendError,
    ContainerBackend,
    ContainerSpec,
    ContainerState,
    Limits,
    Owner,
)

_PRELOADED = "preloaded:"
#: Of the host, where there is no preloaded root file system.
_HOST_ROOTFS = "dir:/"


async def try_container(
    backend: ContainerBackend, owner: Owner, directories: Directories, handle: str
) -> None:
    """Run `true` in a container. Raises BackendError, with the step that failed."""
    step = "preparing it"
    try:
        spec = await _spec(backend, owner, directories, handle)
        await backend.prepare(spec)
        step = "creating it"
        await backend.create(spec)
        step = "starting it"
        await backend.start(handle)
        step = "waiting for its end"
        status = await backend.wait(handle)
        if status.state is not ContainerState.EXITED or status.exit is None:
            raise BackendError("its exit status was lost")
        if status.exit.status != 0:
            raise BackendError(f"`true` exited with status {status.exit.status}")
    except (BackendError, OSError) as error:
        raise BackendError(
            f"cell {owner.cell_id} can't run containers: {error} ({step}, a trial container)"
        ) from error
    finally:
        await backend.destroy(handle)
        await directories.discard(handle)


async def _spec(
    backend: ContainerBackend, owner: Owner, directories: Directories, handle: str
) -> ContainerSpec:
    preloaded = [p for p in await backend.rootfs_providers() if p.startswith(_PRELOADED)]
    return ContainerSpec(
        handle=handle,
        owner=owner,
        directory=await directories.make(handle),
        rootfs=preloaded[0] if preloaded else _HOST_ROOTFS,
        argv=("true",),
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        working_dir="",
        user="",
        hostname="trial",
        limits=Limits(memory_mb=64, cpu_weight=50, max_pids=64, disk_mb=16),
        labels={"kind": "trial"},
    )
