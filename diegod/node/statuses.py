"""Exit statuses of roles, and the failures that lead to them."""

DONE = 0
FAILED = 1
WRONG_USAGE = 2
FATAL = 70  # the store or the log failed: nothing of the last tick was released
REPLACED = 75  # the store was replaced by a later state: to be started again at once
NOT_CURABLE = 78  # a restart would find the same: a foreign folder, a failed self-check


class StartError(Exception):
    """A role can't start. One line for a person: what, why, what to do."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
