"""`diegod doctor`: what this host lacks, each with what cures it. It changes nothing."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from diegod.cli.errors import FAILED
from diegod.cli.host import TOOLS, missing_tools
from diegod.cli.render import Column, View, print_rows
from diegod.cli.session import Session
from diegod.cli.verbs import single, verb

app = single()

_TOOL_S = 5.0
_DROPS = re.compile(r"hook forward .*policy drop")


@dataclass(frozen=True)
class Finding:
    check: str
    ok: bool
    finding: str
    cure: str = ""


_VIEW: View[Finding] = View(
    columns=[
        Column("CHECK", lambda each: each.check),
        Column("STATE", lambda each: "ok" if each.ok else "LACKING"),
        Column("FINDING", lambda each: each.finding),
        Column("CURE", lambda each: each.cure),
    ],
    name=lambda each: each.check,
    form=asdict,
)


@verb(app, "doctor")
def doctor(session: Session) -> int:
    """Tell what this host lacks for running containers, and what cures it; 1 if anything does."""
    findings = [*_system(), *_tools(), *_network(), *_backends()]
    print_rows(session, _VIEW, findings)
    lacking = [each for each in findings if not each.ok]
    if lacking:
        session.say(f"{len(lacking)} of {len(findings)} lacking")
    else:
        session.say("this host has everything")
    return FAILED if lacking else 0


def _system() -> Iterator[Finding]:
    name = f"{platform.system()} {platform.release()}"
    yield Finding(
        "system",
        sys.platform == "linux",
        name,
        "" if sys.platform == "linux" else "runc needs Linux; the backend exec works here",
    )
    root = os.geteuid() == 0
    yield Finding("root", root, f"uid {os.geteuid()}", "" if root else "sudo diegod …")
    yield _cgroups(Path("/sys/fs/cgroup"))


def _cgroups(mounted: Path) -> Finding:
    """Version 2, or version 1 with a memory controller: without either, no limit holds."""
    if (mounted / "cgroup.controllers").exists():
        return Finding("cgroups", True, "version 2")
    if (mounted / "memory").exists():
        return Finding("cgroups", True, "version 1")
    return Finding("cgroups", False, f"nothing at {mounted}", f"mount -t cgroup2 none {mounted}")


def _tools() -> Iterator[Finding]:
    missing = dict(missing_tools("runc"))
    for tool in TOOLS["runc"]:
        cure = missing.get(tool, "")
        where = shutil.which(tool) or "not in PATH"
        yield Finding(tool, not cure, where, cure)
    if "runc" not in missing:
        yield _runs("runc")


def _runs(tool: str) -> Finding:
    """Whether the tool itself starts: a container may forbid even that."""
    try:
        done = subprocess.run(
            [tool, "--version"], capture_output=True, timeout=_TOOL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(f"{tool} runs", False, str(error), f"reinstall {tool}")
    said = (done.stdout or done.stderr).decode("utf-8", "replace").partition("\n")[0]
    return Finding(f"{tool} runs", done.returncode == 0, said)


def _network() -> Iterator[Finding]:
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    if forward.exists():
        on = forward.read_text().strip() == "1"
        cure = "" if on else "sysctl -w net.ipv4.ip_forward=1"
        yield Finding("ip_forward", on, "on" if on else "off", cure)
    if shutil.which("nft") and os.geteuid() == 0:
        yield _forward_policy()


def _forward_policy() -> Finding:
    """Docker and ufw drop what is forwarded; an accept in our table does not undo that."""
    try:
        done = subprocess.run(
            ["nft", "list", "ruleset"], capture_output=True, timeout=_TOOL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("forwarding", False, str(error), "look at nft list ruleset")
    rules = done.stdout.decode("utf-8", "replace")
    if not _DROPS.search(rules):
        return Finding("forwarding", True, "nobody drops what is forwarded")
    chain = "DOCKER-USER" if "DOCKER-USER" in rules else "FORWARD"
    cure = f"iptables -I {chain} -d CONTAINER_SUBNET -j ACCEPT"
    return Finding("forwarding", False, "another firewall drops forwarded packets", cure)


def _backends() -> Iterator[Finding]:
    from diegod.node.roles import load_all_plugins
    from diegod.plugins import PluginState

    for entry in load_all_plugins().entries:
        if entry.kind in ("backend", "plugin"):
            ready = entry.state is PluginState.READY
            said = str(entry.state) if ready else entry.reason
            # A backend that is not in this release, or for another system, is nothing to cure.
            harmless = entry.state is PluginState.UNAVAILABLE
            yield Finding(f"{entry.kind} {entry.name}", ready or harmless, said)
