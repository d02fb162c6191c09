"""The cell's own backend and checks come in by the hooks and make what definitions ask for."""

import asyncio
from pathlib import Path

import pytest

from diegod.cellruntime import builtin
from diegod.cellruntime.checks.command import CommandCheck
from diegod.cellruntime.checks.http import HttpCheck
from diegod.cellruntime.checks.tcp import TcpCheck
from diegod.cellruntime.exec.backend import ExecBackend
from diegod.contracts.backend import Owner
from diegod.plugins import Plugins, PluginState, load_plugins
from diegod.v1 import definition_pb2 as v1


@pytest.fixture
def plugins() -> Plugins:
    return load_plugins([builtin], load_entry_points=False)


def test_all_are_ready(plugins: Plugins) -> None:
    assert [(entry.kind, entry.name, entry.state) for entry in plugins.entries] == [
        ("backend", "exec", PluginState.READY),
        ("check", "tcp", PluginState.READY),
        ("check", "http", PluginState.READY),
        ("check", "command", PluginState.READY),
    ]


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (v1.Check(tcp_check=v1.TcpCheck(port=1)), TcpCheck),
        (v1.Check(http_check=v1.HttpCheck(port=1)), HttpCheck),
        (v1.Check(command_check=v1.CommandCheck(path="true")), CommandCheck),
    ],
)
def test_every_kind_of_check_that_can_be_defined_can_be_made(
    plugins: Plugins, check: v1.Check, kind: type
) -> None:
    assert isinstance(plugins.health_check(check), kind)


def test_no_kind_of_check_was_forgotten(plugins: Plugins) -> None:
    kinds = {field.name for field in v1.Check.DESCRIPTOR.oneofs_by_name["check"].fields}
    assert kinds == {f"{name}_check" for name in plugins.checks}


def test_the_factory_makes_the_exec_backend(plugins: Plugins, tmp_path: Path) -> None:
    settings = {"preloaded": {"busybox": ""}, "subnet": "10.254.0.0/16"}  # others' are ignored
    backend = plugins.backends["exec"].factory(Owner("c", "cell"), tmp_path, settings)
    assert isinstance(backend, ExecBackend)
    assert asyncio.run(_providers(backend)) == ["preloaded:busybox", "dir"]


async def _providers(backend: ExecBackend) -> list[str]:
    return list(await backend.rootfs_providers())
