"""Contexts: precedence, the file and its owner, and what is said when nothing is there."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from diegod.config.contexts import (
    Context,
    ContextError,
    Contexts,
    TlsFiles,
    contexts_file,
    read_contexts,
    resolve,
    write_contexts,
)

TLS = TlsFiles(Path("/p/ca.crt"), Path("/p/user.crt"), Path("/p/user.key"))
PROD = Context(("bbs-1:8889", "bbs-2:8889"), TLS, cluster="prod", domain="shop")
DEV = Context(("127.0.0.1:1",), TlsFiles.of_user(Path("/d")), cluster="dev")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    environ = {"HOME": str(tmp_path)}
    both = (
        Contexts().with_context("prod", PROD, current=True).with_context("dev", DEV, current=False)
    )
    assert write_contexts(both, environ) is None
    return environ


def test_what_is_written_is_read_again(environ: dict[str, str]) -> None:
    known = read_contexts(contexts_file(environ))
    assert known == Contexts("prod", {"dev": DEV, "prod": PROD})


def test_odd_names_survive_the_file(tmp_path: Path) -> None:
    odd = Context(("a:1",), TlsFiles.of_user(Path('/q"u\\o te/ü\x7f')), domain='"')
    environ = {"HOME": str(tmp_path)}
    write_contexts(Contexts().with_context('a "b".c', odd, current=True), environ)
    assert read_contexts(contexts_file(environ)).named('a "b".c') == odd


def test_the_file_is_for_nobody_else_and_nothing_stays_aside(environ: dict[str, str]) -> None:
    path = contexts_file(environ)
    assert path == Path(environ["HOME"]) / ".config" / "diegod" / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_the_current_context_is_the_target(environ: dict[str, str]) -> None:
    target = resolve(environ)
    assert (target.context, target.addresses, target.cluster) == ("prod", PROD.addresses, "prod")
    assert (target.tls, target.domain) == (TLS, "shop")


def test_the_flag_wins_over_the_environment_and_that_over_the_context(
    environ: dict[str, str],
) -> None:
    environ |= {"DIEGOD_CONTEXT": "dev", "DIEGOD_DOMAIN": "d", "DIEGOD_CACERT": "/e/ca"}
    assert resolve(environ).context == "dev"
    assert resolve(environ).tls.ca_cert == Path("/e/ca")
    assert resolve(environ).domain == "d"
    environ["DIEGOD_ADDR"] = "x:1,y:2"
    assert resolve(environ).addresses == ("x:1", "y:2")
    flagged = resolve(environ, "prod")
    assert (flagged.addresses, flagged.tls) == (PROD.addresses, TLS)


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "DIEGOD_ADDR": "x:1",
        "DIEGOD_CACERT": "/e/ca",
        "DIEGOD_CLIENT_CERT": "/e/crt",
        "DIEGOD_CLIENT_KEY": "/e/key",
    }
    target = resolve(environ)
    assert target.tls == TlsFiles(Path("/e/ca"), Path("/e/crt"), Path("/e/key"))
    assert (target.cluster, target.context) == ("", "")
    del environ["DIEGOD_CLIENT_KEY"]
    with pytest.raises(ContextError, match="Set DIEGOD_CACERT"):
        resolve(environ)


def test_without_anything_the_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ContextError) as caught:
        resolve({"HOME": str(tmp_path)})
    assert str(caught.value) == (
        "no cluster given and no context. Start one here: diegod dev. Or: diegod context add"
    )


def test_a_mistyped_context_gets_a_hint(environ: dict[str, str]) -> None:
    with pytest.raises(ContextError, match=r'no context "prd"\. Did you mean prod\?'):
        resolve(environ, "prd")


def test_a_removed_current_context_leaves_none(environ: dict[str, str]) -> None:
    known = read_contexts(contexts_file(environ))
    assert known.without("prod") == Contexts("", {"dev": DEV})
    assert known.without("dev").current == "prod"
    assert known.using("dev").current == "dev"


@pytest.mark.parametrize(
    "text", ["contexts = 1", "[contexts.a]\naddresses = 3", "current =", "\xff"]
)
def test_a_file_that_is_no_context_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ContextError, match=str(path)):
        read_contexts(path)


def test_a_home_that_cannot_be_written_to_falls_back(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the home should be")
    environ = {"HOME": str(tmp_path / "home")}
    line = write_contexts(Contexts("a"), environ, fallback=tmp_path / "data")
    assert line is not None
    assert line.endswith(f": export XDG_CONFIG_HOME={tmp_path / 'data'}")
    assert "\n" not in line
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "data")
    assert read_contexts(contexts_file(environ)).current == "a"


def test_a_home_that_cannot_be_written_to_without_a_fallback_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(ContextError, match="can't be written"):
        write_contexts(Contexts(), {"HOME": str(tmp_path / "home")})


def test_under_sudo_it_is_the_file_of_who_said_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned: list[tuple[str, int, int]] = []
    user = pwd.struct_passwd(("alice", "x", 1234, 567, "", str(tmp_path / "alice"), ""))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user if uid == 1234 else None)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owned.append((str(path), uid, gid)))
    environ = {"HOME": "/root", "SUDO_UID": "1234"}
    write_contexts(Contexts("a"), environ)
    path = tmp_path / "alice" / ".config" / "diegod" / "config.toml"
    assert contexts_file(environ) == path
    assert path.exists()
    assert {(uid, gid) for _, uid, gid in owned} == {(1234, 567)}
    assert str(path.parent) in [name for name, _, _ in owned]
