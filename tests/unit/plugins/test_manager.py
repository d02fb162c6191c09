"""Plugins from real distributions: found, judged, and none takes the others with it."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import diegod
from diegod.plugins import CheckPlugin, Plugins, PluginState, hookimpl, load_plugins

Install = Callable[..., Path]

OFFER = """
    from diegod.plugins import BackendPlugin, hookimpl

    @hookimpl
    def diegod_backends():
        yield BackendPlugin(name={name!r}, interface_version={version}, factory=print)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts distributions into a folder of sys.path, as pip does; no others are seen."""
    site = tmp_path / "site"
    site.mkdir()
    kept = [entry for entry in sys.path if not _has_plugins(Path(entry))]
    monkeypatch.setattr(sys, "path", [str(site), *kept])
    before = set(sys.modules)

    def put(module: str, source: str, version: str = "1.0", distribution: str = "") -> Path:
        name = distribution or module.replace("_", "-")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[diegod]\n{module} = {module}\n")
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        return site / f"{module}.py"

    yield put
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _has_plugins(folder: Path) -> bool:
    return any(
        "[diegod]" in path.read_text() for path in folder.glob("*.dist-info/entry_points.txt")
    )


def told(plugins: Plugins) -> list[tuple[str, str, str, str]]:
    return [(e.kind, e.name, str(e.source), e.state.value) for e in plugins.entries]


def reason(plugins: Plugins) -> str:
    (entry,) = [entry for entry in plugins.entries if entry.reason]
    assert entry.record is None
    assert "\n" not in entry.reason
    return entry.reason


def test_a_plugin_is_found_with_all_that_is_known_of_it(install: Install) -> None:
    file = install("acme_backend", OFFER.format(name="acme", version=1), version="2.3")
    plugins = load_plugins([])
    (entry,) = plugins.entries
    assert (entry.kind, entry.name, entry.state) == ("backend", "acme", PluginState.READY)
    assert str(entry.source) == "acme-backend 2.3"
    assert entry.source.file == str(file)
    assert plugins.backends["acme"] is entry.record


def test_nothing_is_installed(install: Install) -> None:
    assert load_plugins([]).entries == ()


def test_entry_points_can_be_left_alone(install: Install) -> None:
    install("acme_backend", "raise SystemExit('must not be imported')")
    assert load_plugins([], load_entry_points=False).entries == ()


def test_order_does_not_depend_on_where_they_lie(install: Install) -> None:
    for module in ("zebra", "acme", "middle"):
        install(module, OFFER.format(name=module, version=1))
    assert [entry.name for entry in load_plugins([]).entries] == ["acme", "middle", "zebra"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_at_all", "can't be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "can't be imported: SystemExit: 3"),
        ("def broken(:", "can't be imported: SyntaxError"),
        (
            """
            from diegod.plugins import hookimpl
            @hookimpl
            def diegod_backends():
                raise RuntimeError("two\\nlines")
            """,
            "its hook failed: RuntimeError: two",
        ),
        (
            """
            from diegod.plugins import hookimpl
            @hookimpl
            def diegod_backends():
                return 7
            """,
            "its hook failed: TypeError",
        ),
        (
            """
            from diegod.plugins import hookimpl
            @hookimpl
            def diegod_backend():
                return []
            """,
            "unknown hook 'diegod_backend'",
        ),
        (
            """
            from diegod.plugins import hookimpl
            @hookimpl
            def diegod_backends(cell):
                return []
            """,
            "PluginValidationError",
        ),
        (
            """
            from diegod.plugins import hookimpl
            @hookimpl
            def diegod_backends():
                return ["runc"]
            """,
            "a hook returned a str instead of a plugin record",
        ),
    ],
)
def test_a_broken_plugin_is_shown_and_costs_nobody_else(
    install: Install, source: str, said: str
) -> None:
    install("acme", source)
    install("zebra", OFFER.format(name="zebra", version=1))
    plugins = load_plugins([])
    assert told(plugins) == [
        ("plugin", "acme", "acme 1.0", "broken"),
        ("backend", "zebra", "zebra 1.0", "ready"),
    ]
    assert said in reason(plugins)
    assert list(plugins.backends) == ["zebra"]


@pytest.mark.parametrize("version", [0, 2])
def test_another_interface_version_is_refused_by_name(install: Install, version: int) -> None:
    install("acme", OFFER.format(name="acme", version=version))
    plugins = load_plugins([])
    assert dict(plugins.backends) == {}
    assert f"made for plugin interface {version}; this diegod has 1" in reason(plugins)
    assert plugins.why_not("backend", "acme").startswith("backend acme (acme 1.0) is refused: made")


def test_two_strangers_with_one_name_get_neither(install: Install) -> None:
    install("acme_one", OFFER.format(name="fast", version=1), version="1.1")
    install("acme_two", OFFER.format(name="fast", version=1), version="2.2")
    plugins = load_plugins([])
    assert dict(plugins.backends) == {}
    for entry in plugins.entries:
        assert entry.state is PluginState.REFUSED
        assert "acme-one 1.1 and acme-two 2.2 both bring a backend called fast" in entry.reason


class BuiltIn:
    @hookimpl
    def diegod_checks(self) -> list[CheckPlugin]:
        return [CheckPlugin("tcp", 1, lambda check: pytest.fail("not made"))]


def test_a_built_in_keeps_its_name(install: Install) -> None:
    source = """
        from diegod.plugins import CheckPlugin, hookimpl
        @hookimpl
        def diegod_checks():
            yield CheckPlugin(name="tcp", interface_version=1, factory=print)
    """
    install("acme", source)
    plugins = load_plugins([BuiltIn()])
    assert told(plugins) == [
        ("check", "tcp", f"diegod {diegod.__version__}", "ready"),
        ("check", "tcp", "acme 1.0", "refused"),
    ]
    assert f"diegod {diegod.__version__} and acme 1.0 both bring" in reason(plugins)
    assert plugins.checks["tcp"] is plugins.entries[0].record


def test_one_plugin_may_offer_everything() -> None:
    module = ModuleType("everything")
    source = """
        from diegod.plugins import (
            BackendPlugin, CheckPlugin, FilterPlugin, StrategyPlugin, hookimpl,
        )
        @hookimpl
        def diegod_backends(): return [BackendPlugin("b", 1, print), BackendPlugin("c", 1, print)]
        @hookimpl
        def diegod_checks(): return [CheckPlugin("k", 1, print)]
        @hookimpl
        def diegod_strategies(): return [StrategyPlugin("s", 1, print)]
        @hookimpl
        def diegod_filters(): return [FilterPlugin("f", 1, print)]
    """
    exec(textwrap.dedent(source), module.__dict__)
    plugins = load_plugins([module], load_entry_points=False)
    assert list(plugins.backends) == ["b", "c"]
    assert (list(plugins.checks), list(plugins.strategies), list(plugins.filters)) == (
        ["k"],
        ["s"],
        ["f"],
    )
