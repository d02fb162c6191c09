"""Single steps of a container, each with its state, its instruction and its timer.

Which step follows which is decided elsewhere: `starting.py` on the way up, `ending.py` down.
"""

from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.container import Container, Question
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.internal.v1.command_pb2 import Command
from diegod.models.epochs import epoch_of

#: Between tries of what must succeed in the end, doubled each time.
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
#: Of a task's result file.
RESULT_BYTES_MAX = 10 * 1024


def retry_delay_s(tries: int) -> float:
    return min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(tries, 10))


def ask(s: CellState, container: Container, command: Command) -> None:
    container.question = Question(command)
    s.emit(i.Submit(container.handle, command))


def ask_later(question: Question, now: float) -> None:
    question.ask_again_at = now + retry_delay_s(question.tries - 1)
    question.tries += 1


def ask_again(s: CellState, container: Container) -> None:
    if container.question is not None:
        container.question.ask_again_at = None
        s.emit(i.Submit(container.handle, container.question.command))


def prepare(s: CellState, container: Container, why: str) -> None:
    s.move(container, State.PREPARING, why)
    container.destroyed = False
    s.emit(i.Prepare(container.work()))


def record(s: CellState, container: Container, phase: Phase) -> None:
    container.record_issued = True
    container.recorded_epoch = epoch_of(container.row_revision)
    s.emit(i.WriteRecord(container.record(phase)))


def start(s: CellState, container: Container) -> None:
    """The one place from which a program is started."""
    assert not container.start_issued, f"{container.handle} would be started twice"
    assert container.recorded is Phase.STARTING
    s.move(container, State.STARTING)
    container.start_issued = True
    s.emit(i.Start(container.handle, under_lease=container.is_task))


def read_result(s: CellState, container: Container, why: str) -> None:
    s.move(container, State.READING, why)
    container.question = None
    s.emit(i.ReadResult(container.handle, container.result_file, RESULT_BYTES_MAX))


def destroy(s: CellState, container: Container, why: str) -> None:
    s.move(container, State.DESTROYING, why)
    container.destroyed = False
    container.question = None
    container.monitor = None
    container.await_again_at = None
    s.emit(i.Destroy(container.handle))


def try_again_later(container: Container, now: float) -> None:
    """The step of the present state failed, and must be done all the same."""
    container.wake_at = now + retry_delay_s(container.tries)
    container.tries += 1
