"""The tcp check: healthy is what accepts a connection."""

import asyncio

from diegod.cellruntime.checks.dial import NotReachedError, dialled
from diegod.contracts.check import Target, Unhealthy
from diegod.v1.definition_pb2 import Check


class TcpCheck:
    def __init__(self, port: int) -> None:
        self._port = port

    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        try:
            async with asyncio.timeout(timeout_s), dialled(target, self._port):
                return None
        except NotReachedError as error:
            return Unhealthy(str(error))
        except TimeoutError:
            return Unhealthy(f"no connection to port {self._port} within {timeout_s:g} s")


def make_tcp_check(check: Check) -> TcpCheck:
    return TcpCheck(check.tcp_check.port)
