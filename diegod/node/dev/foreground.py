"""`diegod dev` in the foreground: make or find the cluster, run it, leave the host as it was."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diegod.config.contexts import (
    Context,
    TlsFiles,
    contexts_file,
    read_contexts,
    write_contexts,
)
from diegod.config.load import load_settings
from diegod.node import birth, folder
from diegod.node.bbs import STORE_FOLDER
from diegod.node.dev import layout as layouts
from diegod.node.dev import which
from diegod.node.dev.backends import choose
from diegod.node.dev.cluster import DevCluster, serve_control, sweep_cell
from diegod.node.dev.layout import HOST, Layout
from diegod.node.folder import FolderInUse, HeldFolder
from diegod.node.statuses import DONE, StartError
from diegod.world import Clock, Ids

Say = Callable[[str], None]

#: What a cluster in the background says, in its folder. Whoever starts it makes the file anew.
BACKGROUND_LOG = "dev.log"


@dataclass(frozen=True)
class Options:
    name: str
    directory: Path
    members: int
    cells: int
    backend: str  # auto, or a plugin's name
    fresh: bool


async def run(options: Options, clock: Clock, ids: Ids, say: Say) -> int:
    """Until Ctrl-C, SIGTERM or `diegod dev stop`. Raises StartError when it can't begin."""
    began = clock.monotonic()
    held = _hold(options, clock)
    try:
        layout = await _prepared(options, clock, ids, say)
        cluster = DevCluster(layout, clock, ids)
        interrupted = _on_signals(cluster.stopping)
        control = await serve_control(cluster)
        try:
            if await _started(cluster):
                context = _write_context(layout)
                for line in await _banner(cluster, clock.monotonic() - began, context):
                    say(line)
                await cluster.stopping.wait()
        finally:
            control.close()
            await _stop(cluster, interrupted, say)
    finally:
        held.release()
    return 128 + signal.SIGINT if interrupted else DONE


async def _started(cluster: DevCluster) -> bool:
    """Whether it runs; False when it was asked to stop before."""
    starting = asyncio.create_task(cluster.start())
    stopping = asyncio.create_task(cluster.stopping.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        return False
    starting.result()
    return True


def _hold(options: Options, clock: Clock) -> HeldFolder:
    try:
        return folder.hold(options.directory)
    except FolderInUse as error:
        minutes = int(max(0.0, clock.wall() - error.since_s) // 60)
        raise StartError(
            f'a dev cluster "{options.name}" is already running here '
            f"(pid {error.pid or 'unknown'}, {minutes} min). Use it: "
            f'context "{options.name}". Another beside it: diegod dev --name two.'
        ) from None


async def _prepared(options: Options, clock: Clock, ids: Ids, say: Say) -> Layout:
    layout = layouts.load(options.directory)
    if layout is not None and options.fresh:
        await asyncio.gather(*(sweep_cell(layout, part) for part in layout.of_role("cell")))
        empty(options.directory)
        layout = None
    if layout is not None:
        say(f'dev cluster "{layout.name}" was here before: its data and containers are taken up')
    else:
        backend = choose(options.backend)
        if backend.note:
            say(backend.note)
        layout = layouts.create(
            options.name,
            options.directory,
            backend.name,
            options.members,
            options.cells,
            ids.new_id(),
            clock,
        )
    layout.run_dir.mkdir(mode=0o700, exist_ok=True)
    give_birth(layout, ids)
    return layout


def empty(directory: Path) -> None:
    """All but the lock, which this process holds, and the log that it may be writing."""
    for each in directory.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name not in (folder.LOCK_FILE, BACKGROUND_LOG):
            each.unlink()


def give_birth(layout: Layout, ids: Ids) -> None:
    """The stores of the members, where they have none yet: one cluster id, all voters known."""
    settings = {
        part.name: load_settings(layout.config(part), {}).settings for part in layout.of_role("bbs")
    }
    voters = [birth.voter(each) for each in settings.values()]
    for each in settings.values():
        if not (Path(each.node.data_dir) / STORE_FOLDER).exists():
            birth.init_store(each, ids, layout.cluster_id, voters)


def _on_signals(stopping: asyncio.Event) -> list[int]:
    """The signals that came. The first asks for a stop, the second doesn't wait for it."""
    came: list[int] = []

    def handle(number: int) -> None:
        came.append(number)
        if len(came) > 1:
            print(
                "diegod: left at once: containers may remain. Remove them: diegod dev --fresh",
                file=sys.stderr,
            )
            os._exit(128 + number)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
    return came


async def _stop(cluster: DevCluster, interrupted: list[int], say: Say) -> None:
    if interrupted or cluster.stopping.is_set():
        say("stopping: removing containers, keeping data (--fresh starts over)")
    await cluster.stop()
    await cluster.sweep()
    shutil.rmtree(cluster.layout.run_dir, ignore_errors=True)


def _write_context(layout: Layout) -> str:
    """The context is current from now on. Where it was written."""
    contexts = read_contexts(contexts_file(os.environ)).with_context(
        layout.name,
        Context(
            addresses=tuple(layout.bbs_addresses),
            tls=TlsFiles.of_user(layout.client_dir),
            cluster=layout.name,
        ),
        current=True,
    )
    elsewhere = write_contexts(contexts, os.environ, fallback=layout.directory / "config")
    return elsewhere or str(contexts_file(os.environ))


async def _banner(cluster: DevCluster, seconds: float, context: str) -> list[str]:
    import diegod

    layout = cluster.layout
    status = await cluster.status()
    members = [
        f"{part.name}{' leader' if part.name == status.leader_id else ''} {HOST}:{part.port}"
        for part in layout.of_role("bbs")
    ]
    cells = [f"{part.name} {part.zone}" for part in layout.of_role("cell")]
    brains = [part.name for part in layout.of_role("brain")]
    isolation = choose(layout.backend).description
    return [
        f'diegod {diegod.__version__} · dev cluster "{layout.name}" · '
        f"ready in {seconds:.1f} s · loopback only",
        f"  bbs     {', '.join(members)}",
        f"  brain   {', '.join(brains)}   strategy spread",
        f"  cells   {', '.join(cells)}   {isolation}",
        f'  client  context "{layout.name}" written to {context}, now current',
        f"  data    {layout.directory}",
        "",
        "In another terminal:",
        *(f"  {line}" for line in suggestions(layout)),
        "Ctrl-C stops the cluster and removes its containers; its data stays "
        "(--fresh starts over).",
    ]


def suggestions(layout: Layout) -> list[str]:
    """Commands that work on this cluster as it is; each is run by a test on each backend."""
    cells = layout.of_role("cell")
    web = "httpd -f -p 8080 -h /www" if layout.backend != "exec" else _web_without_namespace()
    lines = [
        "diegod task run echo hello",
        f"diegod lrp run web -n 3 --port 8080 --check http:8080 -- {web}",
        "diegod lrp ps web",
    ]
    if len(cells) > 1:
        flags = which.flags(layout.name, layout.directory)
        lines.append(f"diegod dev kill {cells[-1].name}{flags}")
        lines.append(f"diegod dev start {cells[-1].name}{flags}")
    return lines


def _web_without_namespace() -> str:
    """Without a network namespace, each instance has a port of its own: the one in $PORT."""
    return "sh -c 'exec python3 -m http.server $PORT'"
