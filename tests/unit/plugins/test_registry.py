"""How a record is judged, and what a person is told who asked for one that isn't there."""

import pytest

from diegod.cellruntime.checks.tcp import make_tcp_check
from diegod.contracts.check import HealthCheck
from diegod.plugins.registry import Plugins, PluginState, Source, judged, registry
from diegod.plugins.types import BackendPlugin, CheckPlugin
from diegod.v1.definition_pb2 import Check, CommandCheck, TcpCheck

ACME = Source("acme", "1.0", "/site/acme.py")


def backend(name: str = "acme", **fields: object) -> BackendPlugin:
    return BackendPlugin(name, 1, lambda *_: pytest.fail("not made"), **fields)  # type: ignore[arg-type]


def only(record: object, platform: str = "linux") -> Plugins:
    return registry([judged(record, ACME, platform)])


@pytest.mark.parametrize("name", ["", "Acme", "1st", "a b", "a.b", "a" * 65, None, "acme\n"])
def test_names_that_nobody_could_type(name: str) -> None:
    entry = judged(backend(name), ACME, "linux")
    assert entry.state is PluginState.REFUSED
    assert "is not a name" in entry.reason


def test_a_backend_for_another_platform_is_known_but_unavailable() -> None:
    plugins = only(backend(platforms=("win32",)), "linux")
    assert "acme" in plugins.backends
    assert plugins.why_not("backend", "acme") == (
        "backend acme (acme 1.0) is unavailable: works on win32, not linux"
    )


@pytest.mark.parametrize("platforms", [(), ("linux", "darwin")])
def test_a_backend_for_this_platform_is_ready(platforms: tuple[str, ...]) -> None:
    (entry,) = only(backend(platforms=platforms), "darwin").entries
    assert (entry.state, entry.reason) == (PluginState.READY, "")


def test_a_backend_that_is_not_in_this_release() -> None:
    (entry,) = only(backend(unavailable="not in this release")).entries
    assert (entry.state, entry.reason) == (PluginState.UNAVAILABLE, "not in this release")


def test_a_name_that_nobody_brings() -> None:
    plugins = only(backend())
    assert plugins.why_not("backend", "rnuc") == "there is no backend rnuc; there is: acme"
    assert plugins.why_not("check", "tcp") == "there is no check tcp; there is: none"


def test_one_name_for_two_kinds_is_no_conflict() -> None:
    check = CheckPlugin("acme", 1, lambda _: pytest.fail("not made"))
    plugins = registry([judged(record, ACME, "linux") for record in (backend(), check)])
    assert [entry.state for entry in plugins.entries] == [PluginState.READY] * 2


def test_one_distribution_that_brings_a_name_twice_is_named_once() -> None:
    plugins = registry([judged(backend(), ACME, "linux")] * 2)
    assert dict(plugins.backends) == {}
    assert plugins.entries[0].reason == "acme 1.0 brings two backend plugins called acme"


def test_the_registry_cannot_be_changed() -> None:
    plugins = only(backend())
    with pytest.raises(TypeError):
        plugins.backends["other"] = backend()  # type: ignore[index]


def test_a_check_is_made_by_the_plugin_of_its_kind() -> None:
    made = make_tcp_check(Check(tcp_check=TcpCheck(port=1)))
    asked: list[Check] = []

    def make(check: Check) -> HealthCheck:
        asked.append(check)
        return made

    plugins = only(CheckPlugin("tcp", 1, make))
    check = Check(tcp_check=TcpCheck(port=8080))
    assert plugins.health_check(check) is made
    assert asked == [check]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (Check(), "a check needs one of tcp_check"),
        (Check(command_check=CommandCheck(path="x")), "there is no check command"),
    ],
)
def test_a_check_that_nobody_can_make(check: Check, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        only(backend()).health_check(check)
