"""The flags of `lrp run` as a definition: short forms that spec files don't have."""

import re

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.v1.definition_pb2 import Check, PortMapping

_PORT = re.compile(r"([0-9]{1,9})(?::(.+))?")
_CHECK = re.compile(r"(http|tcp):([0-9]{1,9})(/.*)?")


def port_mapping(text: str) -> PortMapping:
    """`8080` or `8080:http`."""
    match = _PORT.fullmatch(text)
    if match is None:
        raise CliError(f'--port: "{text}" is not PORT or PORT:NAME', USAGE)
    return PortMapping(container_port=int(match[1]), name=match[2] or "")


def check(text: str) -> Check:
    """`tcp:8080`, `http:8080` or `http:8080/healthz`."""
    match = _CHECK.fullmatch(text)
    if match is None or (match[1] == "tcp" and match[3]):
        raise CliError(f'--check: "{text}" is not tcp:PORT or http:PORT[/PATH]', USAGE)
    made = Check()
    if match[1] == "tcp":
        made.tcp_check.port = int(match[2])
    else:
        made.http_check.port = int(match[2])
        made.http_check.path = match[3] or ""
    return made
