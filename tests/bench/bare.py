"""The same container without an orchestrator: `runc run`, alone and in a parallel loop."""

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from diegod_runc.busybox import build_busybox

_AT_ONCE = 8


class BareRunc:
    """Bundles below a folder; what was started is removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "bare"
        self._rootfs = self._folder / "rootfs"
        self._root = self._folder / "runc"
        self._started: list[str] = []

    def __enter__(self) -> "BareRunc":
        self._folder.mkdir()
        busybox = shutil.which("busybox")
        assert busybox is not None
        build_busybox(self._rootfs, Path(busybox))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._started:
            self._runc("delete", "--force", name)
        shutil.rmtree(self._folder)

    def run_once(self, number: int) -> float:
        """`true`, from the call of runc to its end."""
        bundle = self._bundle(f"once-{number}", ["true"])
        began = time.perf_counter()
        self._runc("run", "--bundle", str(bundle), f"once-{number}")
        return time.perf_counter() - began

    def run_many(self, count: int) -> float:
        """`count` sleepers, started from a loop with some at once; until all have been started."""
        names = [f"many-{number}" for number in range(count)]
        bundles = [self._bundle(name, ["sleep", "3600"]) for name in names]
        self._started += names
        began = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._start, names, bundles))
        return time.perf_counter() - began

    def _start(self, name: str, bundle: Path) -> None:
        self._runc("run", "--detach", "--bundle", str(bundle), name)

    def _bundle(self, name: str, argv: Sequence[str]) -> Path:
        bundle = self._folder / "bundles" / name
        bundle.mkdir(parents=True)
        self._runc("spec", "--bundle", str(bundle))
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"]["terminal"] = False
        spec["process"]["args"] = list(argv)
        spec["root"] = {"path": str(self._rootfs), "readonly": True}
        (bundle / "config.json").write_text(json.dumps(spec))
        return bundle

    def _runc(self, *arguments: str) -> None:
        subprocess.run(
            ["runc", "--root", str(self._root), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
