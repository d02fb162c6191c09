"""What a real container may not see or do."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from diegod.contracts.backend import BackendError, Limits
from diegod.testing.backend_bench import WITNESS, Bench, output

from diegod_runc.bundle import CAPABILITIES, MASKED_PATHS
from diegod_runc.cgroups import Cgroups
from diegod_runc.names import Names

pytestmark = pytest.mark.root

#: Numbers from linux/capability.h.
CAPABILITY_BITS = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_SYS_CHROOT": 18,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}


async def said(bench: Bench, script: str, **changes: Any) -> str:
    """What a shell script in a container prints, both streams."""
    spec = bench.spec("/bin/sh", "-c", f"exec 2>&1; {script}", **changes)
    await bench.run(await bench.agent(), spec)
    return output(spec).decode()


def status_of(text: str) -> Mapping[str, str]:
    """/proc/PID/status as a mapping."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in pairs}


async def test_capabilities(bench: Bench) -> None:
    allowed = sum(1 << CAPABILITY_BITS[name] for name in CAPABILITIES)
    status = status_of(await said(bench, "cat /proc/self/status"))
    masks = {key: int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd")}
    assert masks == {"CapPrm": allowed, "CapEff": allowed, "CapBnd": allowed}
    assert (int(status["CapInh"], 16), int(status["CapAmb"], 16)) == (0, 0)
    assert status["NoNewPrivs"] == "1"


async def test_another_user_has_no_capability_at_all(bench: Bench) -> None:
    status = status_of(await said(bench, "cat /proc/self/status", user="nobody"))
    assert int(status["CapEff"], 16) == 0
    assert status["Uid"].split() == ["65534"] * 4


async def test_no_descriptor_of_the_host(bench: Bench) -> None:
    """Not the agent's, not conmon's, not runc's; 3 is the folder that is being listed."""
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        assert (await said(bench, "ls /proc/self/fd")).split() == ["0", "1", "2", "3"]
    finally:
        os.close(held)


async def test_namespaces_are_its_own(bench: Bench) -> None:
    spec = bench.spec(*WITNESS)
    pid = (await bench.start(await bench.agent(), spec)).pid
    for kind in ("pid", "mnt", "ipc", "uts", "net", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind


async def test_it_is_alone(bench: Bench) -> None:
    assert (await said(bench, "echo $$")) == "1\n"
    processes = (await said(bench, "ls -d /proc/[0-9]*")).split()
    assert set(processes) <= {"/proc/1", "/proc/2"}


@pytest.mark.parametrize(
    ("script", "refusal"),
    [
        ("echo 1 > /proc/sys/kernel/panic", "Read-only"),
        ("echo x > /sys/kernel/profiling", "Read-only"),
        ("echo b > /proc/sysrq-trigger", "Read-only|nonexistent"),
        ("mount -t tmpfs none /tmp", "denied|permitted"),
        ("mknod /tmp/mem c 1 1", "permitted"),
        ("unshare -m true", "permitted"),
        ("cat /dev/mem", "No such file"),
        ("ip link set eth0 down", "permitted"),
        ("chroot /proc/1/root sh -c 'ls /work'; kill -9 1; ls /host", "No such file"),
    ],
)
async def test_escape_is_refused(bench: Bench, script: str, refusal: str) -> None:
    assert re.search(refusal, await said(bench, script))


async def test_hidden_files_of_proc_are_empty(bench: Bench) -> None:
    script = "".join(f"[ -d {path} ] && ls -A {path} || cat {path};" for path in MASKED_PATHS)
    lines = (await said(bench, script)).splitlines()
    assert [line for line in lines if not line.endswith("No such file or directory")] == []
    assert len(lines) < len(MASKED_PATHS)  # this kernel has some of them


async def test_limits_are_in_the_cgroup(bench: Bench, run_dir: Path) -> None:
    limits = Limits(memory_mb=48, cpu_weight=50, max_pids=17, disk_mb=64)
    spec = bench.spec(*WITNESS, limits=limits)
    await bench.start(await bench.agent(), spec)
    path = Names.of(spec.owner, run_dir).container_cgroup(spec.handle).lstrip("/")
    cgroups = Cgroups.detect()
    memory = str(48 * 1024 * 1024)
    if cgroups.version == 2:
        wanted = {"memory.max": memory, "memory.swap.max": "0", "pids.max": "17"}
        files = {name: cgroups.roots[0] / path / name for name in wanted}
    else:
        wanted = {"memory.limit_in_bytes": memory, "cpu.shares": "512", "pids.max": "17"}
        if cgroups.swap_limit:
            wanted["memory.memsw.limit_in_bytes"] = memory
        root = Path("/sys/fs/cgroup")
        files = {name: root / name.partition(".")[0] / path / name for name in wanted}
    assert {name: file.read_text().strip() for name, file in files.items()} == wanted


async def test_open_files_are_limited(bench: Bench) -> None:
    assert int(await said(bench, "ulimit -n")) <= 16384


async def test_it_writes_into_its_own_layer(bench: Bench, busybox: Path) -> None:
    assert await said(bench, "echo mine > /etc/passwd; rm -r /www; cat /etc/passwd") == "mine\n"
    assert (busybox / "etc/passwd").read_text().startswith("root:")
    assert (busybox / "www").is_dir()


async def test_files_of_etc(bench: Bench) -> None:
    lines = (await said(bench, "cat /etc/hostname; cat /etc/hosts", hostname="web-7")).splitlines()
    assert lines[0] == "web-7"
    assert lines[-1].split()[1] == "web-7"


def evil_rootfs(busybox: Path, folder: Path) -> str:
    """An image that has links to the host where we read and write."""
    (folder / "etc").mkdir(parents=True)
    (folder / "bin").symlink_to(busybox / "bin")
    (folder / "victim").write_text("untouched")
    for name in ("passwd", "hosts", "hostname", "resolv.conf"):
        (folder / "etc" / name).symlink_to(folder / "victim")
    return f"dir:{folder}"


async def test_links_in_an_image_lead_nowhere(bench: Bench, busybox: Path, tmp_path: Path) -> None:
    rootfs = evil_rootfs(busybox, tmp_path / "evil")
    backend = await bench.agent()
    await backend.prepare(bench.spec("/bin/sh", rootfs=rootfs))
    assert (tmp_path / "evil/victim").read_text() == "untouched"
    (tmp_path / "evil/victim").write_text("intruder:x:0:0::/:\n")
    with pytest.raises(BackendError, match="no user 'intruder'"):
        await backend.prepare(bench.spec("/bin/sh", rootfs=rootfs, user="intruder"))
