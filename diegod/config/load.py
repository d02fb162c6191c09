"""From `diegod.toml`, `conf.d/*.toml` and the environment to `Settings`, or to all that is wrong.

Later files win over earlier ones, key by key; `DIEGOD_SECTION__KEY` wins over all files. Each
value remembers where it came from.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from diegod.config.schema import Settings, contradictions
from diegod.config.toml_lines import Path as KeyPath
from diegod.config.toml_lines import key_lines, line_of, syntax_error
from diegod.models.did_you_mean import unknown

DEFAULT_FILE = Path("/etc/diegod/diegod.toml")
DROP_INS = "conf.d"
ENV_PREFIX = "DIEGOD_"
DEFAULT_ORIGIN = "default"


class ConfigError(Exception):
    """Settings that can't be used. One line a problem: `diegod.toml:14 [cell] memry_mb: …`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    origins: Mapping[KeyPath, str]  # of every value that is not a default: "diegod.toml:14"


@dataclass(frozen=True)
class _FromEnvironment:
    """A value that may have been meant as TOML (8890, ["a"]) or as a bare text (cell-17)."""

    raw: str
    parsed: Any


@dataclass
class _Sources:
    """What all files and the environment say together."""

    table: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add_file(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line, message = syntax_error(str(error))
            self.problems.append(f"{path}:{line} not TOML: {message}")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
            self.problems.append(f"{path} can't be read: {why}")
        else:
            lines = key_lines(text)
            self._merge(self.table, table, (), lambda key: f"{path}:{line_of(lines, key)}")

    def add_environment(self, environ: Mapping[str, str]) -> None:
        for name in sorted(environ):
            section, _, rest = name.removeprefix(ENV_PREFIX).lower().partition("__")
            if name.startswith(ENV_PREFIX) and rest:
                raw = environ[name]
                value: Any = _FromEnvironment(raw, _parsed(raw))
                for key in reversed([section, *rest.split("__")]):
                    value = {key: value}
                self._merge(self.table, value, (), lambda _, name=name: name)

    def _merge(self, into: dict[str, Any], table: dict[str, Any], at: KeyPath, origin: Any) -> None:
        for name, value in table.items():
            path = (*at, name)
            if isinstance(value, dict) and isinstance(into.get(name, {}), dict):
                self.origins.setdefault(path, origin(path))
                self._merge(into.setdefault(name, {}), value, path, origin)
            else:
                into[name] = value
                self.origins[path] = origin(path)


def _parsed(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def config_files(path: Path | None) -> list[Path]:
    """The named file alone; without a name, the machine's own and its drop-ins."""
    if path is not None:
        return [path]
    return [DEFAULT_FILE, *sorted((DEFAULT_FILE.parent / DROP_INS).glob("*.toml"))]


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The settings of this machine. Raises ConfigError with every problem at once."""
    sources = _Sources()
    for file in config_files(path):
        sources.add_file(file)
    if sources.problems:
        raise ConfigError(sources.problems)
    sources.add_environment(environ)
    reader = _Reader(sources.origins, config_files(path)[0])
    settings = reader.section(Settings, sources.table, ())
    if not reader.problems:
        for key, message in contradictions(settings):
            reader.problem(key, message)
    if reader.problems:
        raise ConfigError(reader.problems)
    return Loaded(settings, sources.origins)


@dataclass
class _Reader:
    """Builds the classes of the schema from tables; keeps every problem."""

    origins: Mapping[KeyPath, str]
    main_file: Path
    problems: list[str] = field(default_factory=list)

    def section(self, kind: type[Any], table: Any, at: KeyPath) -> Any:
        """One table as its class. With problems it is not to be used, but others can be found."""
        known = {each.name: each for each in fields(kind)}
        given: dict[str, Any] = {}
        for name, value in table.items():
            if name not in known:
                self.problem((*at, name), unknown(name, known))
            else:
                self._value(known[name], value, (*at, name), given)
        for name, each in known.items():
            self._missing(each, (*at, name), table, given)
        return kind(**given)

    def _value(self, each: Any, value: Any, path: KeyPath, given: dict[str, Any]) -> None:
        inner = each.metadata.get("section")
        if inner is not None and isinstance(value, dict):
            given[each.name] = self.section(inner, value, path)
        elif inner is not None:
            self.problem(path, "is a section, not a value")
        else:
            try:
                given[each.name] = _ruled(each.metadata["rule"], value)
            except ValueError as error:
                self.problem(path, str(error))

    def _missing(self, each: Any, path: KeyPath, table: Any, given: dict[str, Any]) -> None:
        """A required key that is not there; a stand-in, so that the class can be made."""
        if each.name in given or each.default is not MISSING or each.default_factory is not MISSING:
            return
        if "section" in each.metadata:
            given[each.name] = self.section(each.metadata["section"], {}, path)
            return
        given[each.name] = None
        if each.name not in table:
            about = each.metadata["about"]
            self.problem(path, f"is required: {about}" if about else "is required")

    def problem(self, path: KeyPath, message: str) -> None:
        *around, key = path
        where = f" [{'.'.join(around)}]" if around else ""
        self.problems.append(f"{self._origin(path)}{where} {key}: {message}")

    def _origin(self, path: KeyPath) -> str:
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, str(self.main_file))


def _ruled(rule: Any, value: Any) -> Any:
    """What the rule makes of a value; one from the environment may also be meant as it stands."""
    if not isinstance(value, _FromEnvironment):
        return rule(_plain(value))
    try:
        return rule(value.parsed)
    except ValueError:
        if value.parsed is value.raw:
            raise
        return rule(value.raw)


def _plain(value: Any) -> Any:
    """A table whose members may come from the environment."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return value.parsed if isinstance(value, _FromEnvironment) else value
