"""Which cluster a client talks to, and as whom: the contexts of one person.

`~/.config/diegod/config.toml` holds named contexts, one of them current. Flags win over the
environment, and that over the context. Does not belong here: connecting (`diegod.client`).
"""

import json
import os
import pwd
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diegod.config import rules
from diegod.models.did_you_mean import closest

NO_CLUSTER = "no cluster given and no context. Start one here: diegod dev. Or: diegod context add"


class ContextError(Exception):
    """No usable cluster is named; the message says what to do."""


@dataclass(frozen=True)
class TlsFiles:
    """The three files that a client shows who it is with."""

    ca_cert: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def of_user(cls, directory: Path) -> "TlsFiles":
        """As `diegod ca issue user` leaves them."""
        return cls(directory / "ca.crt", directory / "user.crt", directory / "user.key")


@dataclass(frozen=True)
class Context:
    """One cluster, as the file has it."""

    addresses: tuple[str, ...]
    tls: TlsFiles
    cluster: str = ""  # the name that certificates must carry; empty: that of the client's own
    domain: str = ""  # empty: all domains, and "default" for new work


@dataclass(frozen=True)
class Contexts:
    """The whole file."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def with_context(self, name: str, context: Context, *, current: bool) -> "Contexts":
        added = {**self.contexts, name: context}
        return Contexts(name if current or not self.current else self.current, added)

    def without(self, name: str) -> "Contexts":
        self.named(name)
        kept = {each: self.contexts[each] for each in self.contexts if each != name}
        return Contexts("" if self.current == name else self.current, kept)

    def using(self, name: str) -> "Contexts":
        self.named(name)
        return replace(self, current=name)

    def named(self, name: str) -> Context:
        if name in self.contexts:
            return self.contexts[name]
        near = closest(name, self.contexts)
        hint = f" Did you mean {near}?" if near else " diegod context ls"
        raise ContextError(f'there is no context "{name}".{hint}')


@dataclass(frozen=True)
class Target:
    """The cluster that a command is about, after flags, environment and context."""

    addresses: tuple[str, ...]
    tls: TlsFiles
    cluster: str
    domain: str
    context: str  # its name; empty when the environment alone said where


def resolve(environ: Mapping[str, str], flag: str | None = None) -> Target:
    """The cluster to talk to. Raises ContextError with one line."""
    addresses = tuple(each for each in environ.get("DIEGOD_ADDR", "").split(",") if each)
    name = flag or environ.get("DIEGOD_CONTEXT", "")
    contexts = read_contexts(contexts_file(environ))
    if not name and not addresses:
        name = contexts.current
    if not name and not addresses:
        raise ContextError(NO_CLUSTER)
    context = contexts.named(name) if name else None
    return Target(
        addresses=addresses if addresses and not flag else _addresses(context, name),
        tls=_tls(environ, context, flag is not None),
        cluster=context.cluster if context else "",
        domain=environ.get("DIEGOD_DOMAIN", "") or (context.domain if context else ""),
        context=name,
    )


def _addresses(context: Context | None, name: str) -> tuple[str, ...]:
    if context is None or not context.addresses:
        raise ContextError(f'context "{name}" has no address. diegod context add {name} --address')
    return context.addresses


def _tls(environ: Mapping[str, str], context: Context | None, flag: bool) -> TlsFiles:
    """Each file by the environment or by the context; a context that was asked for wins whole."""
    own = context.tls if context else TlsFiles(Path(), Path(), Path())
    if flag:
        return own
    files = TlsFiles(
        Path(environ.get("DIEGOD_CACERT", "") or own.ca_cert),
        Path(environ.get("DIEGOD_CLIENT_CERT", "") or own.client_cert),
        Path(environ.get("DIEGOD_CLIENT_KEY", "") or own.client_key),
    )
    if Path() in (files.ca_cert, files.client_cert, files.client_key):
        raise ContextError(
            "DIEGOD_ADDR is given, but not who you are. "
            "Set DIEGOD_CACERT, DIEGOD_CLIENT_CERT and DIEGOD_CLIENT_KEY, or use a context"
        )
    return files


def contexts_file(environ: Mapping[str, str]) -> Path:
    """Where the contexts of this person are; under sudo, of the person who said sudo."""
    if environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"]) / "diegod" / "config.toml"
    owner = _sudo_user(environ)
    home = Path(owner.pw_dir) if owner else Path(environ.get("HOME") or Path.home())
    return home / ".config" / "diegod" / "config.toml"


def _sudo_user(environ: Mapping[str, str]) -> pwd.struct_passwd | None:
    if os.geteuid() != 0 or not environ.get("SUDO_UID", "").isdigit():
        return None
    try:
        return pwd.getpwuid(int(environ["SUDO_UID"]))
    except KeyError:
        return None


def read_contexts(path: Path) -> Contexts:
    """What the file says; no file is no context."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Contexts()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContextError(f"{path} can't be read ({error}). Mend it or move it away") from None
    try:
        named = {name: _context(entry) for name, entry in table.get("contexts", {}).items()}
        return Contexts(str(table.get("current", "")), named)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContextError(
            f"{path} is not a file of contexts ({error}). Mend it or move it away"
        ) from None


def _context(entry: dict[str, Any]) -> Context:
    return Context(
        addresses=rules.list_of(rules.address)(entry["addresses"]),
        tls=TlsFiles(
            Path(rules.text(entry["ca_cert"])),
            Path(rules.text(entry["client_cert"])),
            Path(rules.text(entry["client_key"])),
        ),
        cluster=str(entry.get("cluster", "")),
        domain=str(entry.get("domain", "")),
    )


def write_contexts(
    contexts: Contexts, environ: Mapping[str, str], fallback: Path | None = None
) -> str | None:
    """Replace the file of this person, in one step, readable by nobody else.

    Where the home can't be written to, the file goes to `fallback`, and what is returned is the
    line that says so. Without a fallback ContextError is raised.
    """
    path = contexts_file(environ)
    try:
        _replace(path, _as_toml(contexts), _sudo_user(environ))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if fallback is None:
            raise ContextError(f"{path} can't be written ({why}). Set XDG_CONFIG_HOME") from None
        _replace(fallback / "diegod" / "config.toml", _as_toml(contexts), None)
        return f"{path} can't be written ({why}): export XDG_CONFIG_HOME={fallback}"
    return None


def _replace(path: Path, content: str, owner: pwd.struct_passwd | None) -> None:
    """Written aside, then renamed: a reader sees the old file or the new one."""
    made = [each for each in (path.parent, path.parent.parent) if not each.exists()]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for each in [*made, aside] if owner else []:
            os.chown(each, owner.pw_uid, owner.pw_gid)  # type: ignore[union-attr]
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _as_toml(contexts: Contexts) -> str:
    lines = [f"current = {_quoted(contexts.current)}"]
    for name in sorted(contexts.contexts):
        context = contexts.contexts[name]
        addresses = ", ".join(_quoted(each) for each in context.addresses)
        lines += [
            "",
            f"[contexts.{_quoted(name)}]",
            f"addresses = [{addresses}]",
            f"ca_cert = {_quoted(str(context.tls.ca_cert))}",
            f"client_cert = {_quoted(str(context.tls.client_cert))}",
            f"client_key = {_quoted(str(context.tls.client_key))}",
            f"cluster = {_quoted(context.cluster)}",
            f"domain = {_quoted(context.domain)}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's, but for the one control character that JSON lets through."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
