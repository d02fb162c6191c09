"""Where the demo keeps what: everything below `.cache/demo` of the clone, but for `demo.json`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.leaks import RUN_VARIABLE

ROOT = Path(__file__).resolve().parents[2]

#: The longest socket below the cluster's folder, as `run/1a2b3c4d/s/0123456789ab/attach`.
_SOCKET_ROOM = 40
_SOCKET_PATH_MAX = 107


@dataclass(frozen=True)
class Places:
    folder: Path = ROOT / ".cache" / "demo"
    json_file: Path = ROOT / "demo.json"

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def record(self) -> Path:
        """Which processes a running demo consists of."""
        return self.folder / "processes.json"

    @property
    def output(self) -> Path:
        """What `diegod dev` prints."""
        return self.folder / "dev.log"

    @property
    def strangers(self) -> Path:
        """Certificates that the cluster must refuse."""
        return self.folder / "strangers"

    @property
    def failed_logs(self) -> Path:
        """What the parts of a cluster had logged when a step failed."""
        return self.folder / "failed"

    @property
    def are_too_deep(self) -> bool:
        """Whether the clone's path is too long for the names of sockets."""
        return len(str(self.cluster)) + _SOCKET_ROOM > _SOCKET_PATH_MAX

    def make(self) -> None:
        for name in ("config", "state", "tmp"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def environment(self, outer: Mapping[str, str]) -> dict[str, str]:
        """For all that the demo starts: nothing of the user's own diegod, no file elsewhere."""
        kept = {
            name: value
            for name, value in outer.items()
            if name == RUN_VARIABLE or not name.startswith(("DIEGOD_", "XDG_", "SUDO_"))
        }
        return kept | {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "TMPDIR": str(self.folder / "tmp"),
        }


def environment(places: Places) -> dict[str, str]:
    return places.environment(os.environ)
