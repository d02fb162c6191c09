"""The one error of this package: a line for a person, without a traceback."""


class SecurityError(Exception):
    """A refusal that says in one line what is wrong, why, and what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
