"""`diegod dev`: a cluster on this machine, and what can be done to its parts."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from diegod.cli.terminal.errors import FAILED, CliError
from diegod.cli.terminal.render import Table
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb

_ABOUT = "A cluster on this machine: one process a part, loopback only."

app = typer.Typer(
    help=_ABOUT, rich_markup_mode=None, add_completion=False, invoke_without_command=True
)

NameOption = Annotated[str, typer.Option("--name", help="Which dev cluster.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Its folder; ~/.local/state/diegod/NAME by default.")
]


def data_directory(name: str, data: Path | None) -> Path:
    from diegod.node.dev import which

    return which.default_directory(name) if data is None else data.absolute()


def _flags(name: str, data: Path | None) -> str:
    """For the next command that a person is told."""
    from diegod.node.dev import which

    return which.flags(name, data_directory(name, data))


@app.callback()
def dev(
    context: typer.Context,
    name: NameOption = "dev",
    data: DataOption = None,
    members: Annotated[int, typer.Option("--members", help="BBS members: 1, 3 or 5.")] = 1,
    cells: Annotated[int, typer.Option("--cells", min=1, max=16)] = 2,
    backend: Annotated[str, typer.Option("--backend", help="auto, runc, exec, …")] = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove its containers and data.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Run it in the background.")] = False,
) -> None:
    """Start a dev cluster, or do something to the one that runs."""
    if context.invoked_subcommand is not None:
        return
    if members not in (1, 3, 5):
        raise typer.BadParameter(f"{members}: a cluster has 1, 3 or 5 members")
    from diegod.node.dev.foreground import Options

    options = Options(name, data_directory(name, data), members, cells, backend, fresh)
    raise typer.Exit(_in_background(options) if detach else _in_foreground(options))


def _in_foreground(options: Any) -> int:
    from diegod.node.dev import foreground
    from diegod.node.statuses import NOT_CURABLE, StartError
    from diegod.telemetry import logs
    from diegod.world import RandomIds, SystemClock

    logs.configure("console", "error")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        return asyncio.run(foreground.run(options, SystemClock(), RandomIds(), _say))
    except StartError as error:
        status = FAILED if error.status == NOT_CURABLE else error.status  # no service manager here
        raise CliError(error.message, status) from None


def _in_background(options: Any) -> int:
    """The same command in a session of its own; returns when the cluster is ready."""
    import subprocess

    from diegod.node.dev.foreground import BACKGROUND_LOG

    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = options.directory / BACKGROUND_LOG
    flags = ["--name", options.name, "--data", str(options.directory)]
    flags += ["--members", str(options.members), "--cells", str(options.cells)]
    flags += ["--backend", options.backend, *(["--fresh"] if options.fresh else [])]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "diegod", "dev", *flags],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    named = _flags(options.name, options.directory)
    while True:
        written = log.read_text(errors="replace")
        if "Ctrl-C stops" in written:
            told = written.replace("Ctrl-C stops", f"`diegod dev stop{named}` stops")
            print(told.replace("In another terminal:", "Next:"), end="")
            return 0
        try:
            process.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            continue
    lines = log.read_text(errors="replace").strip().splitlines()
    raise CliError((lines or ["it said nothing"])[-1].removeprefix("diegod: "), FAILED)


def _say(line: str) -> None:
    print(line, flush=True)


async def _ask(name: str, data: Path | None, request: dict[str, Any]) -> dict[str, Any]:
    from diegod.node.dev import control

    path = data_directory(name, data) / "run" / "control"
    try:
        reply = await control.ask(path, request)
    except control.NotRunningError as error:
        raise CliError(f"{error}. Start one: diegod dev{_flags(name, data)}", FAILED) from None
    if "error" in reply:
        raise CliError(reply["error"], FAILED)
    return reply


@verb(app, "ls", aliases=["list"])
async def ls(session: Session, name: NameOption = "dev", data: DataOption = None) -> None:
    """List the parts of the dev cluster."""
    parts = (await _ask(name, data, {"verb": "ls"}))["parts"]
    if session.output is Output.JSON:
        import json

        for part in parts:
            print(json.dumps(part))
        return
    rows = [
        [part["part"], str(part["pid"] or "-"), _state(part), str(part["restarts"])]
        for part in parts
    ]
    Table(["PART", "PID", "STATE", "RESTARTS"], rows).print(colored=session.colored)


def _state(part: dict[str, Any]) -> str:
    if part["ready"]:
        return "ready"
    return "killed" if part["held"] else "starting"


@verb(app, "kill")
async def kill(
    session: Session,
    part: Annotated[str, typer.Argument(help="bbs-1, brain-1, cell-2, leader")],
    machine: Annotated[bool, typer.Option("--machine", help="Its containers too.")] = False,
    name: NameOption = "dev",
    data: DataOption = None,
) -> None:
    """SIGKILL a part; with --machine, a cell and all its containers, as if it lost power."""
    reply = await _ask(name, data, {"verb": "kill", "part": part, "machine": machine})
    what = "and its containers " if machine else ""
    next_command = f"diegod dev start {reply['part']}{_flags(name, data)}"
    session.say(f"{reply['part']} (pid {reply['pid']}) {what}killed. {next_command}")


@verb(app, "start")
async def start(
    session: Session, part: str, name: NameOption = "dev", data: DataOption = None
) -> None:
    """Start a part that was killed or paused."""
    reply = await _ask(name, data, {"verb": "start", "part": part})
    session.say(f"{reply['part']} is ready (pid {reply['pid']})")


@verb(app, "pause")
async def pause(
    session: Session, part: str, name: NameOption = "dev", data: DataOption = None
) -> None:
    """SIGSTOP a part; `start` lets it go on."""
    reply = await _ask(name, data, {"verb": "pause", "part": part})
    next_command = f"diegod dev start {reply['part']}{_flags(name, data)}"
    session.say(f"{reply['part']} (pid {reply['pid']}) paused. {next_command}")


@verb(app, "stop")
async def stop(session: Session, name: NameOption = "dev", data: DataOption = None) -> None:
    """Stop the cluster and remove its containers; its data stays."""
    from diegod.node.dev.removal import wait_stopped

    await _ask(name, data, {"verb": "stop"})
    await wait_stopped(data_directory(name, data))
    again = f"diegod dev{_flags(name, data)}"
    session.say(f'dev cluster "{name}" has stopped. {again} starts it again')


@verb(app, "rm")
async def rm(session: Session, name: NameOption = "dev", data: DataOption = None) -> None:
    """Remove the data of a dev cluster that is stopped, and its context."""
    from diegod.node.dev.removal import remove
    from diegod.node.statuses import StartError

    try:
        await remove(name, data_directory(name, data))
    except StartError as error:
        raise CliError(error.message, error.status) from None
    session.say(f'dev cluster "{name}" removed')


@verb(app, "logs")
async def logs(
    session: Session, part: str, name: NameOption = "dev", data: DataOption = None
) -> None:
    """Print what a part has logged."""
    path = data_directory(name, data) / "parts" / part / "log"
    if not path.exists():
        raise CliError(f'there is no log of a part "{part}" ({path})', FAILED)
    sys.stdout.buffer.write(path.read_bytes())
