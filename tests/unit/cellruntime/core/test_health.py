"""When is probed, and what the results come to."""

from diegod.cellruntime.core.health import Finding, Monitor
from diegod.v1.definition_pb2 import Check, TcpCheck


def check(interval_ms: int | None = None, failure_threshold: int | None = None) -> Check:
    tcp = TcpCheck(port=8080)
    return Check(tcp_check=tcp, interval_ms=interval_ms, failure_threshold=failure_threshold)


def test_startup_probes_every_half_second_from_the_first_moment() -> None:
    monitor = Monitor([check(interval_ms=30_000)], 10.0, 60.0)
    assert monitor.next_deadline() == 10.0
    assert monitor.on_timer(10.0) == [0]
    assert monitor.on_timer(10.0) == []  # one is under way
    assert monitor.on_result(0, "refused", 10.2) is None
    assert monitor.next_deadline() == 10.7


def test_healthy_is_when_every_check_has_passed() -> None:
    monitor = Monitor([check(interval_ms=1000), check(interval_ms=5000)], 0.0, 60.0)
    assert monitor.on_timer(0.0) == [0, 1]
    assert monitor.on_result(0, "", 0.1) is None
    assert monitor.on_result(1, "", 0.2) == Finding(True)
    assert monitor.on_timer(0.6) == [0]
    assert monitor.on_result(0, "", 0.6) is None
    assert monitor.next_deadline() == 1.6
    assert monitor.on_timer(5.2) == [0, 1]


def test_a_check_that_passed_and_then_fails_is_not_healthy_yet() -> None:
    monitor = Monitor([check(), check()], 0.0, 60.0)
    monitor.on_timer(0.0)
    monitor.on_result(0, "", 0.1)
    monitor.on_timer(0.6)
    monitor.on_result(0, "refused", 0.6)
    assert monitor.on_result(1, "", 0.7) is None


def test_the_start_timeout_names_what_was_missing() -> None:
    monitor = Monitor([check(), check()], 0.0, 2.5)
    monitor.on_timer(0.0)
    monitor.on_result(0, "refused", 0.1)
    assert monitor.given_up(2.4) is None
    finding = monitor.given_up(2.5)
    assert finding == Finding(False, "never healthy after 2.5 s: refused; no answer yet")
    assert monitor.given_up(9.0) is None  # said once


def test_without_a_start_timeout_it_never_gives_up() -> None:
    monitor = Monitor([check()], 0.0, 0.0)
    monitor.on_timer(0.0)
    assert monitor.given_up(1e9) is None
    assert monitor.next_deadline() is None


def test_failures_must_come_in_a_row() -> None:
    monitor = Monitor([check(interval_ms=1000, failure_threshold=2)], 0.0, 1.0, healthy=True)
    assert monitor.on_result(0, "slow", 1.0) is None
    assert monitor.on_result(0, "", 2.0) is None
    assert monitor.on_result(0, "slow", 3.0) is None
    assert monitor.on_result(0, "dead", 4.0) == Finding(False, "became unhealthy: dead")
