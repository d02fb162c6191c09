"""What one value may be. Each rule yields the problems of one field; it knows no message.

Does not belong here: which field a rule applies to (`admission.py`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from diegod.models import limits
from diegod.models.did_you_mean import closest
from diegod.models.errors import Problem

_GUID = re.compile(r"[a-zA-Z0-9_-]+")
_DOMAIN = re.compile(r"[a-zA-Z0-9_.-]+")
_TAG = re.compile(r"[!-~]+")
_STRATEGY = re.compile(r"[a-zA-Z0-9_.-]+")
_PORT_NAME = re.compile(r"[a-z0-9_]+")
_ENV_NAME = re.compile(r"[a-zA-Z_.-][a-zA-Z0-9_.-]*")
_PRELOADED = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_USER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]*\$?|[0-9]{1,10}(:[0-9]{1,10})?")
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])"
_CALLBACK_URL = re.compile(rf"(?i:https?)://{_HOST}(?::([0-9]{{1,5}}))?(?:[/?][!-~]*)?")
_URL_PATH = re.compile(r"/[!-~]*")

#: Set by the cell inside each container.
RESERVED_ENV_PREFIXES = ("DIEGOD_", "CF_INSTANCE_")
STOP_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL")


def required(path: str, value: str) -> Iterator[Problem]:
    if not value:
        yield Problem(path, "is required")


def at_most_bytes(path: str, value: str, bytes_max: int) -> Iterator[Problem]:
    size = len(value.encode("utf-8"))
    if size > bytes_max:
        yield Problem(path, f"is {size} bytes long, at most {bytes_max} are allowed")


def between(path: str, value: int, lowest: int, highest: int) -> Iterator[Problem]:
    if not lowest <= value <= highest:
        yield Problem(path, f"{value} is not within {lowest}–{highest}")


def _spelled(
    path: str, value: str, form: re.Pattern[str], allowed: str, bytes_max: int
) -> Iterator[Problem]:
    if not form.fullmatch(value):
        yield Problem(path, f'"{shortened(value)}" may contain only {allowed}')
    yield from at_most_bytes(path, value, bytes_max)


def shortened(value: str, length_max: int = 60) -> str:
    """As much of a value as a message can carry."""
    return value if len(value) <= length_max else value[: length_max - 1] + "…"


def guid(path: str, value: str) -> Iterator[Problem]:
    if value:
        yield from _spelled(path, value, _GUID, "A–Z a–z 0–9 _ -", limits.NAME_BYTES_MAX)
    else:
        yield from required(path, value)


def domain(path: str, value: str) -> Iterator[Problem]:
    """Empty is the default domain."""
    if value:
        yield from _spelled(path, value, _DOMAIN, "A–Z a–z 0–9 _ . -", limits.NAME_BYTES_MAX)


def strategy(path: str, value: str) -> Iterator[Problem]:
    """Empty is the brain's own choice."""
    if value:
        yield from _spelled(path, value, _STRATEGY, "A–Z a–z 0–9 _ . -", limits.NAME_BYTES_MAX)


def rootfs(path: str, value: str) -> Iterator[Problem]:
    yield from at_most_bytes(path, value, limits.ROOTFS_BYTES_MAX)
    scheme, colon, rest = value.partition(":")
    if not value:
        yield Problem(path, "is required: preloaded:NAME or dir:/PATH")
    elif scheme == "preloaded" and colon:
        if not _PRELOADED.fullmatch(rest):
            yield Problem(path, f'"{shortened(rest)}" is not the name of a preloaded rootfs')
    elif scheme == "dir" and colon:
        yield from absolute_path(path, rest)
    else:
        yield Problem(path, f'"{shortened(value)}" is neither preloaded:NAME nor dir:/PATH')


def absolute_path(path: str, value: str) -> Iterator[Problem]:
    """A directory named without detours, so that it means the same to whoever reads it."""
    if not value.startswith("/") or "\0" in value:
        yield Problem(path, f'"{shortened(value)}" is not an absolute path')
    elif ".." in value.split("/"):
        yield Problem(path, f'"{shortened(value)}" leaves its directory by ".."')
    yield from at_most_bytes(path, value, limits.PATH_BYTES_MAX)


def arguments(path: str, values: Sequence[str]) -> Iterator[Problem]:
    if len(values) > limits.ARGUMENTS_MAX:
        yield Problem(path, f"{len(values)} arguments, at most {limits.ARGUMENTS_MAX} are allowed")
        return
    for number, value in enumerate(values):
        yield from argument(f"{path}[{number}]", value)


def argument(path: str, value: str) -> Iterator[Problem]:
    """What the kernel can hand to a program."""
    if "\0" in value:
        yield Problem(path, "contains a NUL character")
    yield from at_most_bytes(path, value, limits.ARGUMENT_BYTES_MAX)


def user(path: str, value: str) -> Iterator[Problem]:
    """Empty is root of the container."""
    if value and not _USER.fullmatch(value):
        yield Problem(path, f'"{shortened(value)}" is neither a user name nor UID[:GID]')


def environment(path: str, variables: Mapping[str, str]) -> Iterator[Problem]:
    if len(variables) > limits.ENVIRONMENT_VARIABLES_MAX:
        count = len(variables)
        yield Problem(
            path, f"{count} variables, at most {limits.ENVIRONMENT_VARIABLES_MAX} are allowed"
        )
        return
    for name in sorted(variables):
        yield from environment_name(f"{path}.{shortened(name)}", name)
        yield from argument(f"{path}.{shortened(name)}", variables[name])


def environment_name(path: str, name: str) -> Iterator[Problem]:
    if name.startswith(RESERVED_ENV_PREFIXES):
        yield Problem(path, "is reserved: DIEGOD_* and CF_INSTANCE_* are set by the cell")
    elif not _ENV_NAME.fullmatch(name):
        yield Problem(path, f'"{shortened(name)}" is not the name of an environment variable')
    yield from at_most_bytes(path, name, limits.ARGUMENT_BYTES_MAX)


def placement_tags(path: str, tags: Sequence[str]) -> Iterator[Problem]:
    if len(tags) > limits.TAGS_MAX:
        yield Problem(path, f"{len(tags)} tags, at most {limits.TAGS_MAX} are allowed")
        return
    for number, tag in enumerate(tags):
        here = f"{path}[{number}]"
        yield from _spelled(here, tag, _TAG, "visible ASCII characters", limits.NAME_BYTES_MAX)
    yield from unique(path, tags)


def metric_tags(path: str, tags: Mapping[str, str]) -> Iterator[Problem]:
    if len(tags) > limits.TAGS_MAX:
        yield Problem(path, f"{len(tags)} tags, at most {limits.TAGS_MAX} are allowed")
        return
    for name in sorted(tags):
        here = f"{path}.{shortened(name)}"
        yield from _spelled(here, name, _TAG, "visible ASCII characters", limits.NAME_BYTES_MAX)
        yield from at_most_bytes(here, tags[name], limits.METRIC_TAG_VALUE_BYTES_MAX)


def unique(path: str, values: Iterable[str | int], member: str = "") -> Iterator[Problem]:
    """Every value that repeats an earlier one, at its own place."""
    first: dict[str | int, int] = {}
    for number, value in enumerate(values):
        if value in first:
            yield Problem(
                f"{path}[{number}]{member}", f"{value} is already in {path}[{first[value]}]"
            )
        else:
            first[value] = number


def port(path: str, value: int) -> Iterator[Problem]:
    if not limits.PORT_MIN <= value <= limits.PORT_MAX:
        yield Problem(path, f"{value} is not a port (1–65535)")


def port_name(path: str, value: str) -> Iterator[Problem]:
    """Empty is the port's number."""
    if value:
        yield from _spelled(path, value, _PORT_NAME, "a–z 0–9 _", limits.NAME_BYTES_MAX)


def url_path(path: str, value: str) -> Iterator[Problem]:
    """Empty is "/"."""
    if value and not _URL_PATH.fullmatch(value):
        yield Problem(path, f'"{shortened(value)}" is not the path of a URL, like /healthz')
    yield from at_most_bytes(path, value, limits.PATH_BYTES_MAX)


def callback_url(path: str, value: str) -> Iterator[Problem]:
    """Empty is none. Where it may lead is decided when it is called: names change their meaning."""
    if not value:
        return
    yield from at_most_bytes(path, value, limits.URL_BYTES_MAX)
    shown = shortened(value)
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in ("http", "https") or not rest:
        yield Problem(path, f'"{shown}" is not an http or https URL')
    elif "@" in re.split("[/?#]", rest)[0]:
        yield Problem(path, "carries a user or password: a row is read by many")
    elif not (match := _CALLBACK_URL.fullmatch(value)) or "#" in value:
        yield Problem(path, f'"{shown}" is not a URL like https://ci.example.com/hook')
    elif match[1] is not None:
        yield from port(path, int(match[1]))


def stop_signal(path: str, value: str) -> Iterator[Problem]:
    """Empty is TERM."""
    if value and value not in STOP_SIGNALS:
        near = closest(value.upper().removeprefix("SIG"), STOP_SIGNALS)
        hint = f"; did you mean {near}?" if near else ""
        yield Problem(path, f'"{shortened(value)}" is not one of {", ".join(STOP_SIGNALS)}{hint}')
