"""The files of a TLS folder. A key is never readable by others, and nothing is overwritten."""

import os
from collections.abc import Iterable
from pathlib import Path

from diegod.security.errors import SecurityError

CA_CERTIFICATE = "ca.crt"
CA_KEY = "ca.key"

PUBLIC = 0o644
SECRET = 0o600


def read_file(path: Path, what: str, what_to_do: str) -> bytes:
    """The content of `path`, or a line that calls it `what`; `what_to_do` if it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SecurityError(f"{what} {path} is missing ({_why(error)}). {what_to_do}") from error
    except OSError as error:
        raise SecurityError(
            f"{what} {path} can't be read ({_why(error)}). Check its kind, owner and mode."
        ) from error


def require_absent(paths: Iterable[Path]) -> None:
    """Refuses before anything is made, so that no half of a pair stays behind."""
    for path in paths:
        if path.exists():
            raise SecurityError(
                f"{path} is already there (it is never overwritten). "
                "Move it away, or choose another folder."
            )


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Makes `path`, and the folder it lies in; a file that exists is refused."""
    require_absent([path])
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise SecurityError(
            f"{path} can't be written ({_why(error)}). Choose another folder."
        ) from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
