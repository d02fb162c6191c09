"""What the comparison needs beside Python: etcd, its messages, and a slower disk.

All of it lies below `.cache`; nothing is installed, no service is started.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from grpc_tools import protoc

_HERE = Path(__file__).parent
ROOT = _HERE.parents[2]
CACHE = ROOT / ".cache" / "bench-bbs"


class Missing(Exception):  # noqa: N818 - what a person reads
    """A program is not here, and why."""


def etcd() -> Path:
    """Debian's `etcd`, unpacked. Raises Missing."""
    found = subprocess.run(
        ["sh", str(ROOT / "tools" / "etcd.sh")], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        raise Missing(found.stderr.strip() or "tools/etcd.sh failed")
    return Path(found.stdout.strip().splitlines()[-1])


def etcd_version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0].rpartition(" ")[2]


def slow_disk() -> Path:
    """Our launcher that delays a program's flushes. Raises Missing."""
    source, program = _HERE / "slow_disk.c", CACHE / "slow_disk"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing("there is no C compiler (cc, gcc) for slow_disk.c")
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-O2", "-Wall", "-o", str(program), str(source)], check=True)
    return program


def etcd_messages() -> ModuleType:
    """The Python code of etcd.proto, made anew."""
    CACHE.mkdir(parents=True, exist_ok=True)
    arguments = ["protoc", f"-I{_HERE}", f"--python_out={CACHE}", str(_HERE / "etcd.proto")]
    if protoc.main(arguments) != 0:
        raise Missing("etcd.proto can't be compiled")
    spec = importlib.util.spec_from_file_location("etcd_pb2", CACHE / "etcd_pb2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
