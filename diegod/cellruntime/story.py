"""Writes down what the machine says of containers, beside their output and as long.

In the form of their output (`diegod.contracts.log_format`), with `cell` for the stream. Nothing
waits for it: a line that can't be written, or that dies with the agent, is lost, and nothing else.
"""

import asyncio

import structlog

from diegod.cellruntime.core.story import Note
from diegod.cellruntime.exec.cri_log import encode, timestamp
from diegod.cellruntime.ports import Directories

STREAM = "cell"
_LINE_BYTES_MAX = 1024

_log = structlog.get_logger(__name__)


class Story:
    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        #: handle -> its lines that are not written yet, in the order in which they came.
        self._waiting: dict[str, bytes] = {}
        self._something = asyncio.Event()

    def put(self, note: Note, wall_s: float) -> None:
        text = " ".join(note.text.split()).encode()[:_LINE_BYTES_MAX]
        line = encode(timestamp(wall_s), STREAM, text + b"\n")
        self._waiting[note.handle] = self._waiting.get(note.handle, b"") + line
        self._something.set()

    async def keep_writing(self) -> None:
        """For as long as the agent lives."""
        while True:
            await self._something.wait()
            self._something.clear()
            await self.flush()

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for handle, lines in waiting.items():
            try:
                await self._directories.tell(handle, lines)
            except OSError as error:
                _log.warning("story.not_written", handle=handle, why=str(error))
