"""What a replicated log promises, checked as a simulation goes on.

One leader a term. One command at each index, on every member. What was acknowledged is there, once;
what was said not to be applied never is. A read has all that was acknowledged before it began. A
confirmed leadership was not over before it was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from diegod.raftbbs.raft.api import Answer, AnswerStatus, Leadership


@dataclass
class Promises:
    """All that was said to clients, and all that turned out to be wrong."""

    violations: list[str] = field(default_factory=list)
    leaders: dict[int, tuple[str, float]] = field(default_factory=dict)  # term -> who, since when
    history: dict[int, bytes] = field(default_factory=dict)
    commands: dict[int, bytes] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    highest_acknowledged: int = 0
    not_applied: set[bytes] = field(default_factory=set)
    read_floors: dict[int, int] = field(default_factory=dict)
    confirmations_asked: dict[int, tuple[int, float]] = field(default_factory=dict)
    reads_ok: int = 0
    confirmations_ok: int = 0
    _last_id: int = 0

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # What clients ask.

    def new_command(self) -> tuple[int, bytes]:
        id_ = self._new_id()
        self.commands[id_] = b"op%d" % id_
        return id_, self.commands[id_]

    def new_read(self) -> int:
        id_ = self._new_id()
        self.read_floors[id_] = self.highest_acknowledged
        return id_

    def new_confirmation(self, term: int, now: float) -> int:
        id_ = self._new_id()
        self.confirmations_asked[id_] = term, now
        return id_

    # What members do and say.

    def violate(self, what: str) -> None:
        self.violations.append(what)

    def applies(self, who: str, index: int, command: bytes) -> None:
        if self.history.setdefault(index, command) != command:
            self.violate(f"entry {index} is {self.history[index]!r}, on {who} {command!r}")

    def begins_with(self, who: str, applied_index: int, state: Mapping[bytes, int]) -> None:
        """A member starts, perhaps with the state of another: it must be the one history."""
        expected = {
            command: index for index, command in self.history.items() if index <= applied_index
        }
        if expected != state:
            self.violate(f"{who} starts with another state than the first {applied_index} entries'")

    def leads(self, who: str, leadership: Leadership, now: float) -> None:
        first, _ = self.leaders.setdefault(leadership.term, (who, now))
        if first != who:
            self.violate(f"term {leadership.term} is led by {first} and {who}")

    def answers(self, answer: Answer) -> None:
        command = self.commands[answer.id]
        if answer.id in self.answered:
            self.violate(f"{command!r} was answered twice")
        self.answered.add(answer.id)
        if answer.status is AnswerStatus.OK:
            self._acknowledges(command, answer)
        elif answer.status is not AnswerStatus.UNKNOWN:
            self.not_applied.add(command)

    def _acknowledges(self, command: bytes, answer: Answer) -> None:
        if answer.result != command or self.history.get(answer.index) != command:
            self.violate(f"{command!r} was acknowledged at {answer.index}, where it is not")
        self.acknowledged[command] = answer.index
        self.highest_acknowledged = max(self.highest_acknowledged, answer.index)

    def reads(self, who: str, id_: int, ok: bool, index: int, applied_index: int) -> None:
        floor = self.read_floors.pop(id_)
        self.reads_ok += ok
        if ok and not floor <= index <= applied_index:
            self.violate(
                f"{who} read at {index}, has applied {applied_index}, acknowledged was {floor}"
            )

    def confirms(self, id_: int, ok: bool) -> None:
        term, asked_at = self.confirmations_asked.pop(id_)
        self.confirmations_ok += ok
        for later, (who, since) in self.leaders.items():
            if ok and later > term and since < asked_at:
                self.violate(f"term {term} was confirmed though {who} led term {later} before")

    # What they have in the end.

    def check_states(self, states: Mapping[str, Mapping[bytes, int]]) -> None:
        for who, state in states.items():
            for command, index in self.acknowledged.items():
                if state.get(command) != index:
                    self.violate(f"{command!r}, acknowledged at {index}, is lost on {who}")
            for command in sorted(state.keys() & self.not_applied):
                self.violate(f"{command!r} was said not to be applied, and is on {who}")
        if len({tuple(sorted(state.items())) for state in states.values()}) > 1:
            self.violate("the members' states differ")
