"""What a cell says of a container, for the person who reads its output: one sentence an event.

Made from the moves of the machine and from a few events that move nothing. Every sentence is short,
says what was done or seen, and why. What becomes of the sentences is the agent's business.
"""

from dataclasses import dataclass

from diegod.cellruntime.core.lifecycle import State

#: So often is said of one container that its readiness has changed; some change with each request.
READINESS_CHANGES_MAX = 100

_PLAIN: dict[State, str] = {
    State.WAITING: "waiting for room on the cell",
    State.PREPARING: "preparing root file system and network",
    State.ASKING: "prepared",
    State.CREATED: "created",
}


@dataclass(frozen=True)
class Note:
    handle: str
    text: str


def of_move(before: State, after: State, why: str) -> str:
    """The sentence for a move; empty: another one says it, or it is of no interest."""
    if before is State.DESTROYING:
        return "destroyed"
    match after:
        case State.PREPARING if before is State.ADOPTING:
            return f"{_PLAIN[after]}: {why}"
        case State.GRANTED:
            return f"prepared, and {why}" if before is State.PREPARING else why
        case State.RUNNING:
            return "adopted: it was running before the cell's agent was" if why == "adopted" else ""
        case State.READING | State.ENDING:
            return why
        case State.REPORTING:
            return why if before is State.RUNNING else ""
        case State.DESTROYING:
            return _destroying(before, why)
        case _:
            return _PLAIN.get(after, "")


def _destroying(before: State, why: str) -> str:
    """After these, the reason has been said."""
    return "" if before in (State.ENDING, State.REPORTING) else f"destroying it: {why}"


def started(pid: int, address: str) -> str:
    where = f" at {address}" if address else ""
    return f"started{where}, pid {pid}" if pid else f"started{where}"


def asked_to_end(signal: str, timeout_s: float, why: str) -> str:
    return f"asked to end with {signal}, killed in {timeout_s:g} s if it doesn't: {why}"


def killed(timeout_s: float) -> str:
    return f"did not end within {timeout_s:g} s: killed"


def readiness(routable: bool, why: str, changes: int) -> str:
    """`changes`: how many there have been, this one included."""
    if changes > READINESS_CHANGES_MAX:
        return ""
    last = "; further changes are not noted" if changes == READINESS_CHANGES_MAX else ""
    return ("ready: it is routable" if routable else f"not ready: {why}") + last
