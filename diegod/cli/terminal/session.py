"""What every command has in common: its output, its messages, its way to the cluster."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from diegod.cli.terminal.errors import NO_ANSWER, CliError
from diegod.config.contexts import Target, resolve
from diegod.models.errors import DomainError, Reason
from diegod.security.errors import SecurityError
from diegod.world import Clock, SystemClock

if TYPE_CHECKING:  # gRPC takes a moment to import, and `diegod --help` needs none of it
    from diegod.client import Client

#: A person at a terminal waits this long for an answer unless --timeout-s says otherwise.
TIMEOUT_S = 5.0
_PROBE_S = 2.0


class Output(StrEnum):
    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass
class Invocation:
    """What the outermost error handler must know of the command that failed."""

    debug: bool = False
    passes_status: bool = False  # a program's status is passed on: our own failures are 125


@dataclass(frozen=True)
class Session:
    """One command at work, after its common options."""

    output: Output = Output.TABLE
    context: str | None = None
    timeout_s: float = TIMEOUT_S
    quiet: bool = False
    no_color: bool = False
    invocation: Invocation = field(default_factory=Invocation)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)

    @property
    def target(self) -> Target:
        return resolve(self.environ, self.context)

    @property
    def colored(self) -> bool:
        """Whether stdout is a terminal that may be painted."""
        environ = self.environ
        plain = environ.get("NO_COLOR") or environ.get("CI") or environ.get("TERM") == "dumb"
        return sys.stdout.isatty() and not (self.no_color or plain)

    def domain(self, flag: str | None) -> str:
        """The flag's domain, else the environment's or the context's; "" for none."""
        return flag if flag is not None else self.target.domain

    def say(self, message: str) -> None:
        """A message for a person: on stderr, and not at all with -q."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)

    @asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        """The cluster, for as long as the command needs it. A missing answer is explained."""
        async with self._client_of(self.target) as client:
            yield client

    @asynccontextmanager
    async def client_at(self, address: str) -> AsyncIterator["Client"]:
        """One member, and no other that could answer in its place."""
        async with self._client_of(replace(self.target, addresses=(address,))) as client:
            yield client

    @asynccontextmanager
    async def _client_of(self, target: Target) -> AsyncIterator["Client"]:
        client = open_client(target, self.timeout_s)
        try:
            yield client
        except DomainError as error:
            if error.reason in (Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME):
                raise await _explained(client, error) from error
            raise
        finally:
            await client.close()


def open_client(target: Target, timeout_s: float) -> "Client":
    """A client of this cluster. A certificate that is no good is found here."""
    from diegod.client import Client
    from diegod.client.connect import connect

    try:
        connection = connect(target)
    except SecurityError as error:
        raise CliError(error.message, NO_ANSWER) from error
    return Client.over(connection, domain=target.domain, timeout_s=timeout_s)


async def _explained(client: "Client", error: DomainError) -> DomainError | CliError:
    """Why there was no answer, by a TLS probe of each address: gRPC itself does not tell."""
    from diegod.security.diagnosis import Kind

    silent = (Kind.NOTHING_LISTENS, Kind.UNREACHABLE, Kind.TIMED_OUT)
    found = await client.connection.diagnose(_PROBE_S)
    if not found or any(each.kind is Kind.WORKS for each in found):
        return error
    for each in found:
        if each.kind not in silent:
            return CliError(each.line, NO_ANSWER)
    if len(found) == 1:
        return CliError(found[0].line, NO_ANSWER)
    tried = ", ".join(_reason(each.line) for each in found)
    return CliError(f"no answer from {tried}. Is the cluster running? diegod doctor", NO_ANSWER)


def _reason(line: str) -> str:
    """`bbs-1:8889 (connection refused)` of a diagnosis's whole line."""
    for opening in ("no answer from ", "no way to "):
        line = line.removeprefix(opening)
    return line.partition("). ")[0] + ")"
