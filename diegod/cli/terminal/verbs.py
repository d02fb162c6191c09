"""How a function becomes a command: the options that every command has, and how it ends.

    @verb(app, "ls", aliases=["list"])
    async def ls(session: Session, domain: DomainOption = None) -> None:
        \"\"\"List the tasks.\"\"\"

The function gets a `Session` in place of the common options. What it returns is the exit status.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from diegod.cli.terminal.errors import BROKEN_PIPE
from diegod.cli.terminal.session import TIMEOUT_S, Invocation, Output, Session

F = TypeVar("F", bound=Callable[..., Any])

#: Everything after the first word that is no option belongs to the program to run.
COMMAND_LINE = {"allow_interspersed_args": False, "ignore_unknown_options": False}

OutputOption = Annotated[
    Output, typer.Option("-o", "--output", envvar="DIEGOD_OUTPUT", help="How to print.")
]
ContextOption = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="The cluster to talk to.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout-s", metavar="S", min=0.1, help="How long to wait for an answer.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No messages, only data.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback on a failure.")]
NoColorOption = Annotated[bool, typer.Option("--no-color", help="No colours.")]

DomainOption = Annotated[
    str | None, typer.Option("-d", "--domain", metavar="DOMAIN", help="Only this domain.")
]
WorkDomainOption = Annotated[
    str | None, typer.Option("-d", "--domain", metavar="DOMAIN", help="Whose work it is.")
]

_COMMON: dict[str, tuple[Any, Any]] = {
    "output": (OutputOption, Output.TABLE),
    "context": (ContextOption, None),
    "timeout_s": (TimeoutOption, TIMEOUT_S),
    "quiet": (QuietOption, False),
    "debug": (DebugOption, False),
    "no_color": (NoColorOption, False),
}


def noun(about: str) -> typer.Typer:
    """A group of commands; alone it prints its help."""
    app = typer.Typer(
        help=about, rich_markup_mode=None, add_completion=False, invoke_without_command=True
    )

    @app.callback()
    def bare(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            print(context.get_help())

    bare.__doc__ = about
    return app


def single() -> typer.Typer:
    """A command that has no noun."""
    return typer.Typer(rich_markup_mode=None, add_completion=False)


def verb(
    app: typer.Typer,
    name: str,
    *,
    aliases: Sequence[str] = (),
    cls: type[TyperCommand] = TyperCommand,
    runs_a_program: bool = False,
) -> Callable[[F], F]:
    """Register a function as a command of `app`, with the common options."""
    settings: dict[str, Any] = {"cls": cls}
    if runs_a_program:
        settings["context_settings"] = COMMAND_LINE

    def register(function: F) -> F:
        command = _with_session(function)
        app.command(name, **settings)(command)
        for alias in aliases:
            app.command(alias, hidden=True, **settings)(command)
        return function

    return register


def _with_session(function: Callable[..., Any]) -> Callable[..., None]:
    """The function as typer sees it: its own parameters, then the common ones it doesn't have."""
    own = [
        each
        for each in inspect.signature(function, eval_str=True).parameters.values()
        if each.name != "session"
    ]
    common = {name: _COMMON[name] for name in _COMMON if name not in [each.name for each in own]}

    @wraps(function)
    def command(ctx: typer.Context, **given: Any) -> None:
        options = {name: given.pop(name) for name in common}
        try:
            result = function(session=_session(ctx, options), **given)
            status = asyncio.run(result) if inspect.iscoroutine(result) else result
        except BrokenPipeError:  # typer would make it a 1, which is a status of programs too
            drop_stdout()
            status = BROKEN_PIPE
        raise typer.Exit(status or 0)

    parameters = [
        _keyword("ctx", typer.Context, inspect.Parameter.empty),
        *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own),
        *(_keyword(name, kind, default) for name, (kind, default) in common.items()),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def drop_stdout() -> None:
    """Nobody reads any more: what is still buffered must not fail again at exit."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the process ends with it


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _session(ctx: typer.Context, options: dict[str, Any]) -> Session:
    invocation = ctx.find_object(Invocation) or Invocation()
    invocation.debug = options.pop("debug", False)
    return Session(invocation=invocation, **options)
