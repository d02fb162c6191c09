"""The whole state of a cell machine, and the two ways in which its rules speak.

`emit` adds an instruction; `move` takes a container from one state to the next, along the table of
`lifecycle.py` only. Both are collected here and handed out by the machine.
"""

from dataclasses import dataclass, field

from diegod.cellruntime.core import lifecycle, story
from diegod.cellruntime.core.container import Container
from diegod.cellruntime.core.instructions import Instruction
from diegod.cellruntime.core.keys import TaskKey
from diegod.cellruntime.core.ledger import Ledger
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.story import Note


@dataclass(frozen=True)
class Move:
    """One step in the life of a container, for whoever tells the story."""

    handle: str
    before: State
    after: State
    why: str


@dataclass(frozen=True)
class CellFacts:
    """What does not change while the agent lives."""

    cell_id: str
    address: str  # where host ports of this cell are reached
    network_namespace: bool  # of the backend: containers have addresses of their own


@dataclass
class CellState:
    facts: CellFacts
    ledger: Ledger
    #: handle -> container, in the order in which they came.
    containers: dict[str, Container] = field(default_factory=dict)
    incarnation: int = 0
    #: The watch has shown everything up to here.
    watched_revision: int = 0
    #: task_guid -> handles of all its attempts here; all and only tasks of `containers`.
    task_handles: dict[str, list[str]] = field(default_factory=dict)
    #: The rows have been seen in full once.
    is_listed: bool = False
    #: Handles that the backend has and that no record explains; until the rows have been listed.
    strays: tuple[str, ...] = ()
    out: list[Instruction] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def emit(self, instruction: Instruction) -> None:
        self.out.append(instruction)

    def note(self, container: Container, text: str) -> None:
        if text:
            self.notes.append(Note(container.handle, text))

    def add(self, container: Container) -> Container:
        assert container.handle not in self.containers
        self.containers[container.handle] = container
        if isinstance(container.key, TaskKey):
            self.task_handles.setdefault(container.key.task_guid, []).append(container.handle)
        return container

    def drop(self, container: Container) -> None:
        del self.containers[container.handle]
        if isinstance(container.key, TaskKey):
            handles = self.task_handles[container.key.task_guid]
            handles.remove(container.handle)
            if not handles:
                del self.task_handles[container.key.task_guid]

    def move(self, container: Container, after: State, why: str = "") -> None:
        """The timer belongs to the state that is left, and goes with it."""
        before = container.state
        assert lifecycle.allows(before, after), f"{container.handle}: {before} -> {after} ({why})"
        self.moves.append(Move(container.handle, before, after, why))
        self.note(container, story.of_move(before, after, why))
        container.state = after
        container.wake_at = None
        container.tries = 0

    def in_state(self, handle: str, *states: State) -> Container | None:
        """The container, if it is still where an answer to its last step makes sense."""
        container = self.containers.get(handle)
        return container if container is not None and container.state in states else None
