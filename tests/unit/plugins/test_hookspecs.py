"""Every hook has an example, and the examples are true: each one is run as it stands."""

import inspect
import textwrap
from types import ModuleType

import pytest

from diegod.plugins import hookspecs, load_plugins

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("diegod_"))
OFFERED = {
    "diegod_backends": ("backend", "acme"),
    "diegod_checks": ("check", "banner"),
    "diegod_filters": ("filter", "calm"),
    "diegod_strategies": ("strategy", "roomy"),
}


def example(hook: str) -> str:
    """The indented part of the hook's docstring."""
    doc = inspect.getdoc(getattr(hookspecs, hook)) or ""
    lines = [line for line in doc.splitlines() if line.startswith("    ") or not line]
    return textwrap.dedent("\n".join(lines))


def test_the_hooks_are_the_ones_that_are_tested() -> None:
    assert sorted(OFFERED) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_is_a_working_plugin(hook: str) -> None:
    module = ModuleType("example")
    exec(example(hook), module.__dict__)
    (entry,) = load_plugins([module], load_entry_points=False).entries
    assert (entry.kind, entry.name) == OFFERED[hook]
    assert entry.record is not None
