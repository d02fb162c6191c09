"""The root of the command line: which commands there are, roles in the foreground, how all ends.

A command's module is imported when it is used, so that `diegod --help` is quick. A command that is
one module stands beside this one; what is more is a package.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from diegod.cli.terminal import errors
from diegod.cli.terminal.errors import CliError, as_cli_error, one_line
from diegod.cli.terminal.session import Invocation
from diegod.cli.terminal.verbs import drop_stdout
from diegod.models.did_you_mean import closest

#: What there is, as the help shows it: heading, then (name, module, what it is for).
COMMANDS: dict[str, list[tuple[str, str, str]]] = {
    "TRY IT": [
        ("dev", "dev", "a cluster on this machine"),
        ("status", "look.status", "the cluster on one screen"),
        ("verify", "verify", "kill parts of a dev cluster, and count how often each task ran"),
        ("doctor", "machine.doctor", "what this host lacks, each with what cures it"),
        ("version", "version", "client, server, API, plugin interface, store format"),
    ],
    "RUN": [
        ("task", "task.app", "tasks: one-off work, started at most once"),
        ("lrp", "lrp.app", "LRPs: long-running processes, N instances each"),
        ("apply", "documents.apply", "documents of any kind, in the order of depends_on"),
        ("plan", "documents.plan", "what apply would do, and nothing done"),
    ],
    "LOOK": [
        ("cell", "cell.app", "cells: the machines that run containers"),
        ("events", "look.events", "what happens in the cluster, as it happens"),
        ("story", "look.story", "the life of one task or instance, each line with its cause"),
        ("explain", "look.explain", "why it is where it is, or why it is nowhere"),
        ("wait", "look.wait", "until something is healthy, completed, gone, empty …"),
        ("visualize", "look.visualize", "zones, cells and a box an instance, live"),
    ],
    "PLATFORM": [
        ("domain", "domain", "domains: whose work it is, and whether it is complete"),
    ],
    "OPERATE": [
        ("bbs", "bbs.app", "the BBS: the replicated store (bulletin board)"),
        ("ca", "machine.ca", "certificates: an offline CA for one cluster"),
        ("config", "machine.config", "the settings of this machine"),
        ("context", "machine.context", "which cluster the commands talk to"),
        ("plugin", "machine.plugin", "backends, checks and strategies that are installed"),
        ("api", "machine.api", "the .proto files, for clients in other languages"),
    ],
}
_MODULES = {name: module for rows in COMMANDS.values() for name, module, _ in rows}

_USAGE = """\
Usage: diegod COMMAND …                       diegod COMMAND -h tells more
       diegod --role=bbs|brain|cell [--role=…] [--config FILE] [--check]

A container orchestrator: tasks and long-running processes on your machines.
"""
_ROLES = """
  --role=ROLE       run a role in the foreground; may be repeated
  --config FILE     its settings; without it /etc/diegod/diegod.toml and conf.d/*.toml
  --check           do not run: ask the roles that run here whether they are ready
"""


def help_text() -> str:
    """The help of `diegod` alone."""
    lines = [_USAGE]
    for heading, rows in COMMANDS.items():
        lines.append(heading)
        lines += [f"  {name:<16}  {about}" for name, _, about in rows]
    return "\n".join(lines) + "\n" + _ROLES


class Root(TyperGroup):
    """Finds its commands by name, without importing any other."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _MODULES:
            return None
        command = get_command(import_module(f"diegod.cli.{_MODULES[cmd_name]}").app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None:
            near = closest(args[0], _MODULES)
            hint = f' Did you mean "{near}"?' if near else ""
            ctx.fail(f'there is no command "{one_line(args[0])}".{hint}')
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: Any) -> str:
        return help_text().rstrip("\n")


app = typer.Typer(
    cls=Root,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    role: Annotated[list[str] | None, typer.Option("--role")] = None,
    config: Annotated[Path | None, typer.Option("--config", envvar="DIEGOD_CONFIG")] = None,
    check: Annotated[bool, typer.Option("--check")] = False,
    version: Annotated[bool, typer.Option("--version")] = False,
) -> None:
    """Commands, or roles in the foreground."""
    if context.invoked_subcommand is not None:
        if role or check:
            context.fail(
                f"--role starts roles in the foreground and can't stand with a command "
                f'("{context.invoked_subcommand}")'
            )
        return
    if version:
        from diegod import __version__

        print(f"diegod {__version__}")
    elif role or check or _named_on_command_line(context, "config"):
        from diegod.cli.machine.roles import check_roles, start_roles

        raise typer.Exit((check_roles if check else start_roles)(role or [], config))
    else:
        print(help_text(), end="")


def _named_on_command_line(context: typer.Context, option: str) -> bool:
    """Not only in the environment: `diegod` alone always prints its help."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit status. No traceback, unless --debug asked for it."""
    _use_utf8()
    invocation = Invocation()
    try:
        status = get_command(app).main(
            list(arguments), prog_name="diegod", standalone_mode=False, obj=invocation
        )
        sys.stdout.flush()
        return status if isinstance(status, int) else errors.DONE
    except typer.TyperException as error:
        return _wrong_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return errors.INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return errors.BROKEN_PIPE
    except errors.EXPECTED as error:
        return _failed(as_cli_error(error), invocation)
    except Exception as error:  # a defect: still one line, and a way to see the rest
        message = f"internal error ({type(error).__name__}: {error}). Repeat it with --debug"
        return _failed(CliError(message), invocation)


def _use_utf8() -> None:
    """Our lines have dashes and arrows; a terminal or pipe that can't show one gets a "?"."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and (stream.encoding or "").lower() != "utf-8":
            stream.reconfigure(errors="replace")


def _wrong_usage(error: Exception) -> int:
    """What typer says, in our form; `task run` keeps 2 for the program."""
    message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "diegod"
    message = one_line(message).removesuffix(".").replace("Value error, ", "")
    hint = "" if message.endswith("?") else f". {path} -h tells more"
    print(f"diegod: {message[:1].lower()}{message[1:]}{hint}", file=sys.stderr)
    return errors.COULD_NOT_RUN if path == "diegod task run" else errors.USAGE


def _failed(error: CliError, invocation: Invocation) -> int:
    if invocation.debug:
        traceback.print_exc()
    for line in error.details:
        print(one_line(line), file=sys.stderr)
    if error.message:
        print(f"diegod: {one_line(error.message)}", file=sys.stderr)
    if invocation.passes_status and error.status < errors.TIMED_OUT:
        return errors.COULD_NOT_RUN  # smaller ones are the program's
    return error.status
