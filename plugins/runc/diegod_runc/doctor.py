"""What on this host would keep containers from working, and the one thing to do about each.

`problems` looks and changes nothing; what it has seen is judged by the pure functions below it.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from diegod.contracts.backend import Finding

from diegod_runc import host
from diegod_runc.cgroups import Cgroups
from diegod_runc.names import BRIDGE_PREFIX
from diegod_runc.processes import TOOL_ENVIRONMENT

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_LEGACY_TABLES = Path("/proc/net/ip_tables_names")
_TIMEOUT_S = 10
_OURS = "diegod_"  # what our own tables' names begin with
_BRIDGES = f"{BRIDGE_PREFIX}+"  # iptables' way to say "every interface that begins with"


def problems() -> list[Finding]:
    """Everything found, the worst first."""
    found = [*_missing_tools(host.missing()), *_missing_busybox()]
    if os.geteuid() != 0:
        found.append(
            Finding("not root", "runc containers need it", "start the cell as root, or with sudo")
        )
        return found  # without root the rest can't be seen
    if not Cgroups.detect().writable():
        found.append(
            Finding(
                "/sys/fs/cgroup can't be written",
                "containers can't be limited or counted",
                "inside a container, start that one with its cgroups writable (--privileged)",
            )
        )
    found += _forwarding(_IP_FORWARD.read_text().strip())
    found += judge_forward_chains([*_chains(), *legacy_chains(_legacy_rules())])
    return found


def _missing_tools(missing: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            f"{program} is not in PATH",
            "the runc backend can't work without it",
            f"apt-get install --no-install-recommends --no-remove {host.PACKAGES[program]}",
        )
        for program in missing
    ]


def _missing_busybox() -> list[Finding]:
    if host.find("busybox") is not None:
        return []
    return [
        Finding(
            "busybox is not in PATH",
            "preloaded:busybox is not offered, which examples and first tries use",
            "apt-get install --no-install-recommends --no-remove busybox-static",
            hinders=False,
        )
    ]


def _forwarding(setting: str) -> list[Finding]:
    if setting != "0":
        return []
    return [
        Finding(
            "net.ipv4.ip_forward is 0",
            "the cell switches it on while it has containers; whoever switches it off again"
            " (a sysctl file, a hardening tool) cuts them off",
            "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/90-diegod.conf && sysctl --system",
            hinders=False,
        )
    ]


def judge_forward_chains(chains: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Other people's chains that drop what is forwarded, from `nft -j list chains`.

    A packet must be accepted by every table: our accept does not undo a drop of theirs.
    """
    dropping = [
        chain
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain.get("family") in ("ip", "inet")
        and not str(chain.get("table", "")).startswith(_OURS)
    ]
    names = sorted({str(chain.get("name")) for chain in chains})
    findings = [_dropped(chain, names) for chain in dropping]
    if not dropping and any(chain.get("table") == "firewalld" for chain in chains):
        findings.append(_firewalld("inet firewalld"))
    return findings


def _dropped(chain: Mapping[str, Any], names: Sequence[str]) -> Finding:
    where = f"{chain['family']} {chain['table']} {chain['name']}"
    if chain["table"] == "firewalld":
        return _firewalld(where)
    if "DOCKER-USER" in names:
        cure = _both_ways("iptables -I DOCKER-USER")
        return _unreachable(f"Docker's policy for forwarded packets is DROP ({where})", cure)
    if any(name.startswith("ufw-") for name in names):
        cure = "ufw default allow routed"
        return _unreachable(f"ufw drops forwarded packets ({where})", cure)
    return _unreachable(
        f"the policy of {where} is drop", _both_ways(f"iptables -I {chain['name']}")
    )


def _firewalld(where: str) -> Finding:
    cure = (
        "firewall-cmd --permanent --zone=trusted --add-source=SUBNET && firewall-cmd --reload"
        " (SUBNET: ip -4 -br addr, the bridge dg…)"
    )
    return _unreachable(f"firewalld rules what is forwarded ({where})", cure)


def _both_ways(insert: str) -> str:
    return f"{insert} -i {_BRIDGES} -j ACCEPT && {insert} -o {_BRIDGES} -j ACCEPT"


def _unreachable(what: str, cure: str) -> Finding:
    why = "mapped ports answer on this host, but not from others, and containers reach nobody"
    return Finding(what, why, cure)


def legacy_chains(rules: str) -> list[Mapping[str, Any]]:
    """The same from `iptables-legacy -S`, whose rules nft does not see."""
    found: list[Mapping[str, Any]] = []
    for words in (line.split() for line in rules.splitlines()):
        chain = {"family": "ip", "table": "filter", "name": words[1] if len(words) > 1 else ""}
        if words[:2] == ["-P", "FORWARD"] and len(words) == 3:
            found.append({**chain, "hook": "forward", "policy": words[2].lower()})
        elif words[:1] == ["-N"]:
            found.append(chain)
    return found


def _chains() -> list[Mapping[str, Any]]:
    """All chains of the packet filter; none when nft can't tell."""
    nft = host.find("nft")
    told = _told([nft, "-j", "list", "chains"]) if nft else ""
    entries = json.loads(told)["nftables"] if told else []
    return [entry["chain"] for entry in entries if "chain" in entry]


def _legacy_rules() -> str:
    """Asked for only where such tables are in use: asking would load them into the kernel."""
    iptables = host.find("iptables-legacy")
    in_use = _LEGACY_TABLES.exists() and "filter" in _LEGACY_TABLES.read_text().split()
    return _told([iptables, "-S"]) if iptables and in_use else ""


def _told(argv: Sequence[str]) -> str:
    """What a tool prints; "" when it fails or hangs."""
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(
            argv,
            capture_output=True,
            check=False,
            env=TOOL_ENVIRONMENT,
            text=True,
            timeout=_TIMEOUT_S,
        )
        return told.stdout if told.returncode == 0 else ""
    return ""
