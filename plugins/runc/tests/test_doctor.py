"""The doctor's judgement of other people's packet filters."""

from typing import Any

from diegod_runc.doctor import judge_forward_chains, legacy_chains


def chain(table: str, name: str, policy: str = "", family: str = "ip") -> dict[str, Any]:
    found = {"family": family, "table": table, "name": name}
    return {**found, "hook": "forward", "policy": policy} if policy else found


def test_nothing_to_say_where_nobody_drops() -> None:
    ours = chain("diegod_ab", "passing", "drop", "inet")
    assert judge_forward_chains([ours, chain("filter", "FORWARD", "accept")]) == []


def test_docker() -> None:
    chains = [chain("filter", "FORWARD", "drop"), chain("filter", "DOCKER-USER")]
    (finding,) = judge_forward_chains(chains)
    assert "Docker" in finding.what
    assert finding.cure == (
        "iptables -I DOCKER-USER -i dg+ -j ACCEPT && iptables -I DOCKER-USER -o dg+ -j ACCEPT"
    )


def test_ufw() -> None:
    chains = [chain("filter", "FORWARD", "drop"), chain("filter", "ufw-before-forward")]
    (finding,) = judge_forward_chains(chains)
    assert finding.cure == "ufw default allow routed"


def test_firewalld_rejects_by_rules_and_not_by_policy() -> None:
    (finding,) = judge_forward_chains([chain("firewalld", "filter_FORWARD", "accept", "inet")])
    assert "firewalld" in finding.what


def test_somebody_unknown() -> None:
    (finding,) = judge_forward_chains([chain("mine", "FORWARD", "drop", "inet")])
    assert "inet mine FORWARD" in finding.what


def test_ipv6_is_not_ours() -> None:
    assert judge_forward_chains([chain("filter", "FORWARD", "drop", "ip6")]) == []


def test_legacy_iptables() -> None:
    rules = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n"
    (finding,) = judge_forward_chains(legacy_chains(rules))
    assert "Docker" in finding.what
