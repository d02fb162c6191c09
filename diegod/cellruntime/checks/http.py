"""The http check: healthy is status 200 to a GET, and nothing else. No redirect is followed."""

import asyncio
from urllib.parse import quote

from diegod.cellruntime.checks.dial import NotReachedError, dialled
from diegod.contracts.check import Target, Unhealthy
from diegod.v1.definition_pb2 import Check

#: What a path and its query may hold as they are; the rest, line ends above all, is escaped.
_SAFE = "/?&=%:@!$'()*+,;~-._"

_HEALTHY = 200


class HttpCheck:
    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = "/" + quote(path, safe=_SAFE).removeprefix("/")

    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        url = f"http://{target.address}:{target.ports.get(self._port, self._port)}{self._path}"
        try:
            async with asyncio.timeout(timeout_s):
                status = await self._get(target)
        except NotReachedError as error:
            return Unhealthy(str(error))
        except TimeoutError:
            return Unhealthy(f"no answer from {url} within {timeout_s:g} s")
        except (OSError, ValueError):
            return Unhealthy(f"no HTTP answer from {url}")
        return None if status == _HEALTHY else Unhealthy(f"{status} from {url}")

    async def _get(self, target: Target) -> int:
        """The status of the answer; what follows it isn't read."""
        async with dialled(target, self._port) as (reader, writer):
            writer.write(self._request(target).encode())
            while (status := _status(await reader.readline())) < _HEALTHY:
                while (await reader.readline()).strip():  # an interim answer has headers, too
                    pass
            return status

    def _request(self, target: Target) -> str:
        headers = (
            f"GET {self._path} HTTP/1.1",
            f"Host: {target.address}:{target.ports[self._port]}",
            "User-Agent: diegod-health-check",
            "Accept: */*",
            "Connection: close",
        )
        return "\r\n".join(headers) + "\r\n\r\n"


def _status(line: bytes) -> int:
    """Of "HTTP/1.1 200 OK". Raises ValueError for anything else."""
    protocol, code, *_ = line.split(None, 2)
    if not protocol.startswith(b"HTTP/1.") or len(code) != 3:
        raise ValueError(f"not an HTTP status line: {line[:40]!r}")
    return int(code)


def make_http_check(check: Check) -> HttpCheck:
    return HttpCheck(check.http_check.port, check.http_check.path)
