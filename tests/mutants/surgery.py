"""Replace an attribute of the product, for the life of this process or until it is undone.

A target is written `package.module:Name.attribute`, within `diegod`. A function of a module is
replaced wherever the product or a test has imported it by name. Every call of a replacement is
counted: a mutant that nobody runs into proves nothing.
"""

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

Replacement = Callable[..., Any]
"""Called like the original, with the original in front."""
Install = Callable[["Surgery"], None]

_STUMBLES = (TypeError, AttributeError, NameError, KeyError, IndexError, ValueError)
"""What the mistakes of a mutant itself look like; the product's own refusals are other types."""


class TargetVanished(Exception):  # noqa: N818 - it names an event: the table lost touch
    """What a mutant would change is not there any more. Says what."""


class Surgery:
    """What was replaced, how often it was reached, and the way back."""

    def __init__(self) -> None:
        self.reached = 0
        self.stumbled: list[str] = []
        """Exceptions that left a replacement and are nobody's finding."""
        self._undo: list[Callable[[], None]] = []

    def around(self, target: str, replacement: Replacement) -> None:
        """Put a function around a function, a method, or what a property reads."""
        owner, name, found = _find(target)
        if isinstance(found, property):
            assert found.fget is not None
            self._set(owner, name, property(self._counted(found.fget, replacement), found.fset))
        elif isinstance(found, staticmethod | classmethod):
            self._set(owner, name, type(found)(self._counted(found.__func__, replacement)))
        elif not isinstance(found, FunctionType) and not callable(found):
            raise TargetVanished(f"{target} is no function any more, but {found!r}")
        elif isinstance(owner, ModuleType):
            self._everywhere(found, name, self._counted(found, replacement))
        else:
            self._set(owner, name, self._counted(found, replacement))

    def value(self, target: str, new: object, read_by: str) -> None:
        """Change a constant. The function that reads it is watched, to see that it is reached."""
        owner, name, _ = _find(target)
        self._set(owner, name, new)
        self.around(read_by, lambda original, *args, **more: original(*args, **more))

    def rule(self, kind: str, replacement: Replacement) -> None:
        """Put a function around the rule of a command."""
        rules = importlib.import_module("diegod.raftbbs.core").RULES
        if kind not in rules:
            raise TargetVanished(f"there is no command {kind} any more")
        role, found = rules[kind]
        rules[kind] = role, self._counted(found, replacement)
        self._undo.append(lambda: rules.__setitem__(kind, (role, found)))

    def without(self, target: str) -> None:
        """Take an override away: what it overrides is there again."""
        owner, name, _ = _find(target)
        inherited = next((base for base in owner.__mro__[1:] if name in vars(base)), None)
        if inherited is None:
            raise TargetVanished(f"{target} overrides nothing any more")
        self._set(owner, name, self._counted(vars(inherited)[name], _as_it_is))

    def without_call(self, target: str, called: str) -> None:
        """Let a function do everything but call another one of its module."""
        owner, name, found = _find(target)
        if called not in found.__code__.co_names or called not in found.__globals__:
            raise TargetVanished(f"{target} does not call {called} any more")
        own = {**found.__globals__, called: lambda *args, **more: None}
        less = FunctionType(found.__code__, own, name, found.__defaults__, found.__closure__)
        less.__kwdefaults__ = found.__kwdefaults__
        self._set(owner, name, self._counted(less, _as_it_is))

    def undo(self) -> None:
        """As if nothing had been replaced."""
        while self._undo:
            self._undo.pop()()

    def _counted(self, found: Callable[..., Any], replacement: Replacement) -> Any:
        @functools.wraps(found)
        def counted(*args: Any, **more: Any) -> Any:
            self.reached += 1
            try:
                return replacement(found, *args, **more)
            except _STUMBLES as error:
                if type(error) in _STUMBLES:
                    self.stumbled.append(f"{found.__qualname__}: {error!r}")
                raise

        return counted

    def _set(self, owner: Any, name: str, new: object) -> None:
        before = vars(owner)[name]
        setattr(owner, name, new)
        self._undo.append(lambda: setattr(owner, name, before))

    def _everywhere(self, found: object, name: str, new: object) -> None:
        """In every module that is loaded; those that are loaded later find the new one."""
        for module in _loaded():
            for bound in [each for each, value in vars(module).items() if value is found]:
                self._set(module, bound, new)


def _as_it_is(original: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return original(*args, **more)


def _find(target: str) -> tuple[Any, str, Any]:
    """Whoever has the attribute itself, its name, and what it is now."""
    module_name, _, path = target.partition(":")
    load_product()
    try:
        owner: Any = importlib.import_module(f"diegod.{module_name}")
    except ModuleNotFoundError:
        raise TargetVanished(f"there is no module diegod.{module_name} any more") from None
    *outer, name = path.split(".")
    for each in outer:
        if each not in vars(owner):
            raise TargetVanished(f"there is no {each} in diegod.{module_name} any more")
        owner = vars(owner)[each]
    if name not in vars(owner):
        raise TargetVanished(f"there is no {path} in diegod.{module_name} any more")
    return owner, name, vars(owner)[name]


@functools.cache
def load_product() -> None:
    """Import everything that could have a target's name, so that none keeps the original."""
    for role in ("raftbbs", "models", "cellruntime", "security", "scheduler"):
        package = f"diegod.{role}"
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            importlib.import_module(module.name)


def _loaded() -> list[ModuleType]:
    return [
        module
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in ("diegod", "tests") and isinstance(module, ModuleType)
    ]


# How a mutant says what it does.


def around(target: str, replacement: Replacement) -> Install:
    return lambda surgery: surgery.around(target, replacement)


def value(target: str, new: object, read_by: str) -> Install:
    return lambda surgery: surgery.value(target, new, read_by)


def rule(kind: str, replacement: Replacement) -> Install:
    return lambda surgery: surgery.rule(kind, replacement)


def without(target: str) -> Install:
    return lambda surgery: surgery.without(target)


def without_call(target: str, called: str) -> Install:
    return lambda surgery: surgery.without_call(target, called)


def all_of(*installs: Install) -> Install:
    def install(surgery: Surgery) -> None:
        for each in installs:
            each(surgery)

    return install


def nothing(original: object, *args: object, **more: object) -> None:
    """As a replacement: nothing is done."""


def never_fails(*errors: type[BaseException]) -> Replacement:
    """As a replacement: what would have ended in one of these errors is passed over."""

    def replacement(original: Callable[..., Any], *args: Any, **more: Any) -> Any:
        try:
            return original(*args, **more)
        except errors:
            return None

    return replacement


def says(answer: object) -> Replacement:
    """As a replacement: this is the answer, whatever is asked."""
    return lambda original, *args, **more: answer
