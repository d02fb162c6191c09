"""Faults that wait for their moment: they strike where a promise is decided, not at any time.

A strike that comes by chance seldom hits the few milliseconds between a question and its answer.
These wait until what they are for is under way: a cell asks whether it may start a task, a program
is about to be started, a brain has commands on their way, a slot of a schedule is being fired.
What is held back is carried out later, as by a member that was slow to take it up.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from diegod.internal.v1.command_pb2 import Command, StartTask
from diegod.internal.v1.ring_pb2 import SubmitRequest
from diegod.v1.record_pb2 import Task
from tests.sim.wire import Call

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.ring_faults import RingNemesis
    from tests.sim.roles import SimCell, SimRole

QUESTION_LOST = "start question or its answer lost"
QUESTION_HELD = "start question held back"
KILLED_AT_START = "agent killed at a start"
BRAIN_HELD = "brain paused, its commands held back"
SLOT_HELD = "slot held back"
KINDS = (QUESTION_LOST, QUESTION_HELD, KILLED_AT_START, BRAIN_HELD, SLOT_HELD)

#: So long an answer to a question takes at least, and at most.
_ANSWERED_S = (0.0, 0.012)
#: After a question was lost its cell is cut off for so long; 0: only the connection is gone.
_CUT_S = (0.0, 0.0, 1.0, 13.0)
#: How long something is held back at most.
_HELD_S = 14.0
_BRAIN_HELD_S = 22.0
#: After the kill of an agent everything from and to its machine is slow for so long.
_SLOW_S = 3.0
_AT_ONCE_S = (0.0, 0.05)
#: That start takes long, so that it may still be under way when the next agent looks at it.
_STARTS_S = (0.4, 2.4)
#: Between the start's beginning and the agent's death.
_DIES_S = (0.0002, 0.02)

Go = Callable[[], None]


class Ambush:
    def __init__(self, nemesis: "RingNemesis", ring: "Ring") -> None:
        self._nemesis = nemesis
        self._ring = ring
        self._chance = ring.chance("ambush")
        self._armed: dict[str, None] = {}
        self._held_slots: dict[str, Go] = {}  # schedule -> let its command go on
        ring.network.ambush = self._arrives
        ring.on_starting = self._starting

    def arm(self, kind: str) -> None:
        """The next time the moment comes, it strikes, once."""
        self._armed[kind] = None

    def disarm(self) -> None:
        self._armed.clear()

    def _springs(self, kind: str) -> bool:
        if kind not in self._armed:
            return False
        del self._armed[kind]
        self._nemesis.took_place(kind)
        return True

    # The moments.

    def _arrives(self, call: Call, request: bytes, go: Go) -> bool:
        """Commands are at a member's door. Whether somebody else sees to them."""
        if not (self._armed or self._held_slots):
            return False
        commands = SubmitRequest.FromString(request).commands
        who = call.wire.client.name
        if who.startswith("brain"):
            return self._brain_speaks(who, commands, go)
        questions = [each.start_task for each in commands if each.HasField("start_task")]
        if not questions:
            return False
        if self._springs(QUESTION_LOST):
            self._lose(call, who, go)
        elif self._springs(QUESTION_HELD):
            self._nemesis.when(lambda: not self._stands(questions[0], who), _HELD_S, go)
        else:
            return False
        return True

    def _brain_speaks(self, who: str, commands: Iterable[Command], go: Go) -> bool:
        slots = [each.fire_schedule.name for each in commands if each.HasField("fire_schedule")]
        skipped = [each.skip_slots.name for each in commands if each.HasField("skip_slots")]
        for name in [*slots, *skipped]:
            if name in self._held_slots:
                self._held_slots.pop(name)()  # the earlier one arrives just before this one
        if slots and self._springs(SLOT_HELD):
            self._hold_slot(slots[0], go)
            return True
        if any(each.lock_name for each in commands) and self._springs(BRAIN_HELD):
            self._hold_brain(who, go)
            return True
        return False

    def _starting(self, cell: "SimCell", handle: str) -> None:
        """A program is about to be started."""
        if handle.startswith("t-") and self._springs(KILLED_AT_START):
            cell.host.slow_down(cell.owner, handle, self._chance.uniform(*_STARTS_S))
            self._later(self._chance.uniform(*_DIES_S), lambda: self._kill(cell))

    # What happens then.

    def _lose(self, call: Call, cell: str, go: Go) -> None:
        """The question is lost on its way, or the answer is; perhaps the cell is cut off, too."""
        if self._chance.random() < 0.5:
            call.wire.break_off("Connection reset by peer")
        else:
            go()
            after_s = self._chance.uniform(*_ANSWERED_S)
            self._later(after_s, lambda: call.wire.break_off("Connection reset by peer"))
        seconds = self._chance.choice(_CUT_S)
        if seconds:
            self._nemesis.cut_cell(cell, seconds)

    def _stands(self, question: StartTask, cell: str) -> bool:
        """Whether the placement that is asked about is still the present one."""
        task = self._ring.history.rows.tasks.get(question.task_guid)
        if task is None or task.state != Task.PENDING:
            return False
        return (task.attempt, task.placed_cell_id) == (question.attempt, cell)

    def _hold_slot(self, name: str, go: Go) -> None:
        """Until the brain speaks of that schedule again, since it has had no answer."""
        self._held_slots[name] = go

        def in_the_end() -> None:
            if self._held_slots.get(name) is go:
                self._held_slots.pop(name)()

        self._nemesis.when(lambda: self._held_slots.get(name) is not go, _HELD_S, in_the_end)

    def _hold_brain(self, name: str, go: Go) -> None:
        """Until another brain has the lock; it wakes up some time later."""
        token = self._ring.history.lock_token
        brain = next(each for each in self._ring.brains if each.name == name)
        process = brain.process
        if process is not None:
            process.pause()

        def on() -> None:
            go()
            self._later(self._chance.uniform(0.0, 2.0), lambda: _wake(brain, process))

        self._nemesis.when(lambda: self._ring.history.lock_token != token, _BRAIN_HELD_S, on)

    def _kill(self, cell: "SimCell") -> None:
        """And at once there is another agent, which the members hear late."""
        if not cell.is_up:
            return
        cell.kill()
        self._ring.revive_later(cell, self._chance.uniform(*_AT_ONCE_S))
        routes = [
            self._ring.network.route(*pair)
            for member in self._ring.members
            for pair in ((cell.name, member.name), (member.name, cell.name))
        ]
        for route in routes:
            route.is_slow = True

        def end() -> None:
            for route in routes:
                route.is_slow = False

        self._later(_SLOW_S, end)

    def _later(self, seconds: float, action: Go) -> None:
        self._ring.network.at(seconds, action)


def _wake(role: "SimRole", process: object) -> None:
    """If it is still that life of it, and still asleep."""
    if role.process is process and role.process is not None and role.is_paused:
        role.process.resume()
