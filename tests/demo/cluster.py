"""The cluster of the demo: `diegod dev` as a process, and what can be done to its parts.

A part is killed through the supervisor, which sends SIGKILL to its pid and does not start it again
until it is told to; that the process was there and is gone, /proc must show.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diegod.client import Client
from diegod.node.dev import control
from diegod.node.dev import layout as layouts
from diegod.node.dev.layout import Layout, Part
from tests.demo import processes
from tests.demo.places import Places, environment
from tests.demo.processes import Process
from tests.demo.report import NotSeen

NAME = "demo"
MEMBERS, CELLS = 3, 2
_READY_LINE = "Ctrl-C stops"
_READY_S = 40.0
_STOP_S = 40.0
_GONE_S = 5.0


@dataclass(frozen=True)
class Container:
    """What `runc list` says of a container that runs."""

    handle: str
    cell: str
    process: Process


class DemoCluster:
    def __init__(self, places: Places) -> None:
        self._places = places
        self._supervisor: asyncio.subprocess.Process | None = None
        #: Of every cell that was ever seen: its part's name -> the short id in all its names.
        self.short_ids: dict[str, str] = {}

    async def start(self) -> None:
        """`diegod dev`, until it says that it is ready."""
        with self._places.output.open("wb") as out:
            self._supervisor = await asyncio.create_subprocess_exec(
                *dev("--members", str(MEMBERS), "--cells", str(CELLS), "--backend", "runc"),
                *of_demo(self._places),
                env=environment(self._places),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # a Ctrl-C is the demo's to answer
            )
        self._places.record.write_text(
            json.dumps({"pid": self.pid, "started": processes.started(self.pid)})
        )
        try:
            async with asyncio.timeout(_READY_S):
                while _READY_LINE not in self._said():
                    await self._still_starting()
        except TimeoutError:
            raise NotSeen(f"the cluster was not ready within {_READY_S:g} s") from None
        self.learn_short_ids()

    @property
    def pid(self) -> int:
        return self._supervisor.pid if self._supervisor else 0

    def _said(self) -> str:
        return self._places.output.read_text(errors="replace")

    async def _still_starting(self) -> None:
        if self._supervisor is None or self._supervisor.returncode is None:
            await asyncio.sleep(0.05)
            return
        lines = self._said().strip().splitlines() or ["it said nothing"]
        raise NotSeen(f"the cluster did not start: {lines[-1].removeprefix('diegod: ')}")

    @property
    def layout(self) -> Layout:
        found = layouts.load(self._places.cluster)
        if found is None:
            raise NotSeen(f"{self._places.cluster} holds no cluster")
        return found

    def part(self, name: str) -> Part:
        return next(part for part in self.layout.parts if part.name == name)

    def data(self, name: str) -> Path:
        return self.layout.part_dir(self.part(name)) / "data"

    def client(self, *names: str) -> Client:
        """A client of the named members; without names, of all."""
        members = [p for p in self.layout.of_role("bbs") if not names or p.name in names]
        addresses = [f"{layouts.HOST}:{member.port}" for member in members]
        return Client(addresses, self.layout.client_dir)

    # --- parts ---

    async def process(self, name: str) -> Process:
        """A part's process, found by its pid and known by its command."""
        parts = (await self._ask(verb="ls"))["parts"]
        told = next(part for part in parts if part["part"] == name)
        if not told["pid"]:
            raise NotSeen(f"{name} does not run (restarted {told['restarts']} times)")
        found = processes.this(told["pid"])
        config = self.layout.config(self.part(name))
        if not found.command.endswith(f"--role={self.part(name).role} --config {config}"):
            raise NotSeen(f"pid {found.pid} is not {name}, but: {found.command}")
        return found

    async def kill(self, name: str) -> Process:
        """SIGKILL a part; returns the process that it was."""
        killed = await self.process(name)
        await self._ask(verb="kill", part=name)
        if not await killed.gone(_GONE_S):
            raise NotSeen(f"{name} (pid {killed.pid}) is still there after kill -9")
        return killed

    async def start_part(self, name: str) -> Process:
        """Returns once it is ready."""
        await self._ask(verb="start", part=name)
        return await self.process(name)

    async def _ask(self, **request: Any) -> dict[str, Any]:
        reply = await control.ask(self.layout.control_socket, request)
        if "error" in reply:
            raise NotSeen(f"diegod dev {request['verb']}: {reply['error']}")
        return reply

    # --- containers ---

    def learn_short_ids(self) -> bool:
        """Look for the cells' ids while the cells are there; whether any is known."""
        for file in self._places.cluster.glob("run/*/owner.json"):
            self.short_ids[json.loads(file.read_text())["cell_id"]] = file.parent.name
        return bool(self.short_ids)

    async def containers(self, *cells: str) -> dict[str, Container]:
        """Handle -> container, of all cells or of these: those that `runc list` says run."""
        listed = await asyncio.gather(*(self._listed(c) for c in cells or sorted(self.short_ids)))
        return {one.handle: one for of_cell in listed for one in of_cell}

    async def _listed(self, cell: str) -> list[Container]:
        root = self.layout.run_dir / self.short_ids[cell] / "runc"
        told = await output("runc", "--root", str(root), "list", "--format", "json")
        return [
            Container(str(one["id"]), cell, Process(one["pid"], when))
            for one in json.loads(told) or []
            if one["status"] == "running" and (when := processes.started(one["pid"])) is not None
        ]

    # --- the end ---

    async def stop(self) -> None:
        """As Ctrl-C does; returns when the supervisor has gone, whatever that takes."""
        if self._supervisor is None:
            return
        with suppress(ProcessLookupError):
            self._supervisor.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._supervisor.wait(), _STOP_S)
        except TimeoutError:
            self._supervisor.kill()
            await self._supervisor.wait()
        self._supervisor = None


def dev(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "diegod", "dev", *arguments]


def of_demo(places: Places) -> list[str]:
    """The options by which `diegod dev …` knows which cluster is meant."""
    return ["--name", NAME, "--data", str(places.cluster)]


async def output(*argv: str | Path, stdin: bytes = b"") -> str:
    """What a program prints; NotSeen with its last line if it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C is the demo's to answer
    )
    told, _ = await process.communicate(stdin)
    text = told.decode(errors="replace")
    if process.returncode != 0:
        last = (text.strip().splitlines() or ["it said nothing"])[-1]
        raise NotSeen(f"{_shown(argv)} failed: {last}")
    return text


def _shown(argv: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in argv)
