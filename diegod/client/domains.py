"""Domains: who vouches that what is desired in them is complete."""

from typing import Any

from diegod.client.ports import Cluster
from diegod.v1 import domain_pb2, record_pb2
from diegod.world import Ids

_SERVICE = "diegod.v1.DomainService"


class Domains:
    def __init__(self, cluster: Cluster, ids: Ids, timeout_s: float) -> None:
        self._cluster = cluster
        self._ids = ids
        self._timeout_s = timeout_s

    async def upsert(self, domain: str, ttl_s: int = 0, cause: str = "") -> record_pb2.Domain:
        """It is fresh for `ttl_s` from now; 0: until it is removed."""
        request = domain_pb2.UpsertDomainRequest(
            request_id=self._ids.new_id(), domain=domain, ttl_s=ttl_s, cause=cause
        )
        reply: domain_pb2.UpsertDomainReply = await self._call("Upsert", request)
        return reply.domain

    async def list(self) -> list[domain_pb2.DomainStatus]:
        """Every domain that has a row, or in which something is, as of one revision."""
        reply: domain_pb2.ListDomainsReply = await self._call(
            "List", domain_pb2.ListDomainsRequest()
        )
        return list(reply.domains)

    async def remove(self, domain: str, cause: str = "") -> int:
        """Nobody vouches for it any more; the revision of the removal."""
        request = domain_pb2.RemoveDomainRequest(
            request_id=self._ids.new_id(), domain=domain, cause=cause
        )
        reply: domain_pb2.RemoveDomainReply = await self._call("Remove", request)
        return reply.revision

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._cluster.call(f"{_SERVICE}/{verb}", request, self._timeout_s)
