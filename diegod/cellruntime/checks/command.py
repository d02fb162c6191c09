"""The command check: healthy is exit status 0 of a command in the container."""

import asyncio
from collections.abc import Sequence

from diegod.contracts.backend import BackendError
from diegod.contracts.check import Target, Unhealthy
from diegod.v1.definition_pb2 import Check

_SAID_MAX = 200


class CommandCheck:
    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)

    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        name = self._argv[0]
        try:
            async with asyncio.timeout(timeout_s):
                result = await target.run(self._argv, timeout_s)
        except TimeoutError:
            return Unhealthy(f"{name} took longer than {timeout_s:g} s")
        except BackendError as error:
            return Unhealthy(str(error))
        if result.status == 0:
            return None
        return Unhealthy(f"{name} exited with status {result.status}{_last_words(result.output)}")


def _last_words(output: bytes) -> str:
    """The last line that was written, which most often says why."""
    lines = output.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:_SAID_MAX]}" if lines else ""


def make_command_check(check: Check) -> CommandCheck:
    return CommandCheck((check.command_check.path, *check.command_check.args))
