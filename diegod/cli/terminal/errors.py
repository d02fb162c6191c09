"""Every failure of a command as an exit status and one line: WHAT (WHY). WHAT TO DO.

| status | meaning |
|--------|---------|
| 0 | done |
| 1 | failed |
| 2 | wrong usage: a flag, a spec, a setting, no context |
| 3 | not found |
| 4 | refused |
| 5 | no answer, no leader, or a certificate that is no good |
| 6 | could not be placed |
| 124–127, 128+n | where a program's status is passed on (`task run`) |
"""

from collections.abc import Sequence

from diegod.config.contexts import ContextError
from diegod.config.load import ConfigError
from diegod.models.errors import DomainError, Reason
from diegod.security.errors import SecurityError

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
NO_ANSWER = 5
NOT_PLACED = 6
TIMED_OUT = 124
COULD_NOT_RUN = 125
NOT_EXECUTABLE = 126
NO_SUCH_PROGRAM = 127
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE

_STATUSES = {
    Reason.INVALID_REQUEST: USAGE,
    Reason.RESOURCE_NOT_FOUND: NOT_FOUND,
    Reason.UNAUTHENTICATED: NO_ANSWER,
    Reason.NOT_LEADER: NO_ANSWER,
    Reason.UNAVAILABLE: NO_ANSWER,
    Reason.UNKNOWN_OUTCOME: NO_ANSWER,
}


class CliError(Exception):
    """A command that ends here, with its status and what to say about it."""

    def __init__(self, message: str, status: int = FAILED, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.details = tuple(details)  # one line each, before the message


#: What a command may end with that is not a defect of ours.
EXPECTED = (CliError, DomainError, ContextError, ConfigError, SecurityError, OSError)


def as_cli_error(error: Exception) -> CliError:
    """The status and the line of any failure that was foreseen."""
    if isinstance(error, CliError):
        return error
    if isinstance(error, DomainError):
        return _refusal(error)
    if isinstance(error, ContextError):
        return CliError(str(error), USAGE)
    if isinstance(error, ConfigError):
        return CliError("these settings can't be used", USAGE, error.problems)
    if isinstance(error, SecurityError):
        return CliError(error.message, FAILED)
    assert isinstance(error, OSError)
    return CliError(_os_error(error), FAILED)


def status_of(reason: str) -> int:
    """The exit status of a refusal by its reason's name, as streams of answers carry it."""
    known = reason in {each.value for each in Reason}
    return _STATUSES.get(Reason(reason), REFUSED) if known else REFUSED


def _refusal(error: DomainError) -> CliError:
    status = _STATUSES.get(error.reason, REFUSED)
    if error.problems:
        return CliError("nothing was stored", status, [str(each) for each in error.problems])
    if error.reason is Reason.UNKNOWN_OUTCOME:
        return CliError(
            f"{error.message}. It may have been done or not: look before you repeat it", status
        )
    return CliError(error.message, status)


def _os_error(error: OSError) -> str:
    why = (error.strerror or str(error)).lower()
    return f"{error.filename}: {why}" if error.filename else why


def one_line(text: str) -> str:
    """Text of a stranger, harmless on a terminal: no line breaks, no escape sequences."""
    return "".join(each if each.isprintable() else " " for each in text).strip()
