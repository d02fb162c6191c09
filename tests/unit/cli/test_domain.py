"""`diegod domain …`: how long each is fresh, and what is kept only because it isn't."""

import pytest

from diegod.v1.domain_pb2 import (
    DomainStatus,
    ListDomainsReply,
    RemoveDomainReply,
    UpsertDomainReply,
)
from diegod.v1.record_pb2 import Domain
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_domain, ago, an_instance
from tests.unit.client.fake_cluster import FakeCluster


@pytest.fixture
def domains(cluster: FakeCluster) -> FakeCluster:
    stale = DomainStatus(domain=Domain(domain="old", ttl_s=60, fresh_until=ago(120)))
    stale.would_be_removed.append(an_instance(0))
    cluster.calls = {
        "DomainService/List": ListDomainsReply(domains=[a_domain(), stale]),
        "DomainService/Upsert": UpsertDomainReply(domain=a_domain().domain),
        "DomainService/Remove": RemoveDomainReply(revision=9),
    }
    return cluster


def test_ls_says_for_how_long(domains: FakeCluster, run: Run) -> None:
    _, fresh, stale = run("domain", "ls").text.splitlines()
    assert "fresh for 90 s more" in fresh
    assert "stale for 2m" in stale
    assert stale.split()[-1] == "1"


def test_show_lists_what_would_be_removed(domains: FakeCluster, run: Run) -> None:
    text = run("domain", "show", "old").text
    assert "kept until it is fresh, although nobody desires it:" in text
    assert "web/0" in text
    assert "kept until" not in run("domain", "show", "shop").text
    assert run("domain", "show", "nothing").status == 3


@pytest.mark.parametrize(
    ("ttl", "said"),
    [("60", "domain shop is fresh for 60 s\n"), ("0", "domain shop is fresh always\n")],
)
def test_set(ttl: str, said: str, domains: FakeCluster, run: Run) -> None:
    result = run("domain", "set", "shop", "--ttl-s", ttl)
    assert (result.status, result.err) == (0, said)
    (request,) = domains.asked("DomainService/Upsert")
    assert (request.domain, request.ttl_s, bool(request.request_id)) == ("shop", int(ttl), True)


def test_set_wants_to_know_for_how_long(domains: FakeCluster, run: Run) -> None:
    assert run("domain", "set", "shop").status == 2


def test_rm_asks_on_a_terminal_and_nowhere_else(
    domains: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("domain", "rm", "shop").err == "domain shop is forgotten\n"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, err: False)
    assert run("domain", "rm", "shop").status == 1
    assert len(domains.asked("DomainService/Remove")) == 1
