"""When is probed, and what the results come to."""

import pytest

from diegod.cellruntime.core.checks import Checks
from diegod.cellruntime.core.health import Finding, Monitor
from diegod.v1.definition_pb2 import Check, TcpCheck


def check(interval_ms: int | None = None, failure_threshold: int | None = None) -> Check:
    tcp = TcpCheck(port=8080)
    return Check(tcp_check=tcp, interval_ms=interval_ms, failure_threshold=failure_threshold)


def checks(*liveness: Check) -> Checks:
    return Checks(liveness)


def test_startup_probes_every_half_second_from_the_first_moment() -> None:
    monitor = Monitor(checks(check(interval_ms=30_000)), 10.0, 60.0)
    assert monitor.next_deadline() == 10.0
    assert monitor.on_timer(10.0) == [0]
    assert monitor.on_timer(10.0) == []  # one is under way
    assert monitor.on_result(0, "refused", 10.2) is None
    assert monitor.next_deadline() == 10.7


def test_healthy_is_when_every_check_has_passed() -> None:
    monitor = Monitor(checks(check(interval_ms=1000), check(interval_ms=5000)), 0.0, 60.0)
    assert monitor.on_timer(0.0) == [0, 1]
    assert monitor.on_result(0, "", 0.1) is None
    assert monitor.on_result(1, "", 0.2) == Finding(True)
    assert monitor.on_timer(0.6) == [0]
    assert monitor.on_result(0, "", 0.6) is None
    assert monitor.next_deadline() == 1.6
    assert monitor.on_timer(5.2) == [0, 1]


def test_a_check_that_passed_and_then_fails_is_not_healthy_yet() -> None:
    monitor = Monitor(checks(check(), check()), 0.0, 60.0)
    monitor.on_timer(0.0)
    monitor.on_result(0, "", 0.1)
    monitor.on_timer(0.6)
    monitor.on_result(0, "refused", 0.6)
    assert monitor.on_result(1, "", 0.7) is None


def test_the_start_timeout_names_what_was_missing() -> None:
    monitor = Monitor(checks(check(), check()), 0.0, 2.5)
    monitor.on_timer(0.0)
    monitor.on_result(0, "refused", 0.1)
    assert monitor.given_up(2.4) is None
    finding = monitor.given_up(2.5)
    assert finding == Finding(False, "never healthy after 2.5 s: refused; no answer yet")
    assert monitor.given_up(9.0) is None  # said once


def test_without_a_start_timeout_it_never_gives_up() -> None:
    monitor = Monitor(checks(check()), 0.0, 0.0)
    monitor.on_timer(0.0)
    assert monitor.given_up(1e9) is None
    assert monitor.next_deadline() is None


def test_failures_must_come_in_a_row() -> None:
    monitor = Monitor(checks(check(interval_ms=1000, failure_threshold=2)), 0.0, 1.0, healthy=True)
    assert monitor.on_result(0, "slow", 1.0) is None
    assert monitor.on_result(0, "", 2.0) is None
    assert monitor.on_result(0, "slow", 3.0) is None
    assert monitor.on_result(0, "dead", 4.0) == Finding(False, "became unhealthy: dead")


# Startup checks stand in the place of the liveness checks until each has passed once.


def test_startup_checks_have_an_interval_of_their_own_and_pass_once() -> None:
    monitor = Monitor(Checks((check(1000),), startup=(check(), check(200))), 10.0, 60.0)
    assert monitor.on_timer(10.0) == [1, 2]  # and no liveness check
    assert monitor.on_result(1, "", 10.1) is None
    assert monitor.on_result(2, "refused", 10.1) is None
    assert monitor.next_deadline() == pytest.approx(10.3)
    assert monitor.on_timer(10.3) == [2]  # the one that has passed is not asked again
    assert monitor.on_result(2, "", 10.4) == Finding(True)
    assert monitor.next_deadline() == pytest.approx(11.4)
    assert monitor.on_timer(11.4) == [0]


def test_a_startup_check_may_fail_as_often_as_it_likes_within_the_start_timeout() -> None:
    monitor = Monitor(Checks(startup=(check(failure_threshold=2),)), 0.0, 60.0)
    for n in range(100):
        assert monitor.on_timer(n / 2) == [0]
        assert monitor.on_result(0, "refused", n / 2) is None
    assert monitor.given_up(60.0) == Finding(False, "never healthy after 60 s: refused")


def test_the_start_timeout_counts_from_the_start_of_the_program() -> None:
    """An agent that comes late looks once before it gives up."""
    seen_early = Monitor(checks(check()), 30.0, 60.0, started_at=0.0)
    assert seen_early.given_up(59.0) is None
    assert seen_early.given_up(60.0) is not None
    seen_late = Monitor(checks(check()), 500.0, 60.0, started_at=0.0)
    assert seen_late.given_up(500.0) is None
    assert seen_late.on_result(0, "", 501.0) == Finding(True)


# Readiness moves `routable`, and nothing else.


def readiness(*more: Check, **state: bool) -> Monitor:
    ready = (check(interval_ms=2000, failure_threshold=2), *more)
    return Monitor(Checks(readiness=ready), 0.0, 60.0, **state)


def test_it_is_not_routable_before_each_readiness_check_has_passed() -> None:
    monitor = readiness(check())
    assert (monitor.healthy, monitor.routable) == (True, False)
    assert monitor.on_timer(0.0) == [0, 1]
    monitor.on_result(0, "", 0.1)
    assert not monitor.routable
    assert monitor.why_not_routable() == "no answer yet"
    monitor.on_result(1, "503", 0.1)
    assert monitor.why_not_routable() == "503"
    assert monitor.next_deadline() == 0.6  # and not half a minute later
    monitor.on_result(1, "", 0.6)
    assert monitor.routable


def test_failures_in_a_row_take_it_out_and_one_success_brings_it_back() -> None:
    monitor = readiness(healthy=True, ready=True)
    assert monitor.routable  # as the agent before had found
    seen = []
    for at, problem in enumerate(("503", "", "503", "503", "503", ""), 1):
        assert monitor.on_result(0, problem, at) is None  # never a reason to end it
        seen.append(monitor.routable)
        assert monitor.next_deadline() == at + 2
    assert seen == [True, True, True, False, False, True]


def test_readiness_waits_for_health() -> None:
    monitor = Monitor(Checks((check(1000),), readiness=(check(),)), 0.0, 60.0)
    assert monitor.on_timer(0.0) == [0]
    assert monitor.on_result(0, "", 0.3) == Finding(True)
    assert monitor.on_timer(0.3) == [1]
    assert not monitor.routable
    monitor.on_result(1, "", 0.4)
    assert monitor.routable


def test_without_readiness_checks_healthy_is_routable() -> None:
    monitor = Monitor(checks(check()), 0.0, 60.0)
    assert not monitor.routable
    monitor.on_result(0, "", 0.1)
    assert monitor.routable
