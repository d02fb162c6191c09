"""What a person means by a REF: a guid, its unique prefix, or NAME/INDEX."""

from collections.abc import Iterable

from diegod.cli.terminal.errors import NOT_FOUND, USAGE, CliError, one_line
from diegod.models.did_you_mean import closest


def chosen(ref: str, guids: Iterable[str], kind: str) -> str:
    """The one guid that is meant. Raises CliError: not found (3), or ambiguous (2)."""
    known = sorted(set(guids))
    if ref in known:
        return ref
    matches = [guid for guid in known if ref and guid.startswith(ref)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(matches[:5]) + (", …" if len(matches) > 5 else "")
        raise CliError(f'"{ref}" is the beginning of {len(matches)} {kind}s: {shown}', USAGE)
    raise CliError(not_found(ref, known, kind), NOT_FOUND)


def not_found(ref: str, known: Iterable[str], kind: str) -> str:
    near = closest(ref, known)
    hint = f" Did you mean {near}?" if near else ""
    return f'no {kind} "{one_line(ref)}".{hint}'


def split_instance(ref: str) -> tuple[str, int | None]:
    """`web/0` as its process and index; a bare `web` has no index."""
    process, slash, index = ref.partition("/")
    if not slash:
        return ref, None
    if not index.isdigit():
        raise CliError(f'"{one_line(ref)}" is neither NAME nor NAME/INDEX', USAGE)
    return process, int(index)
