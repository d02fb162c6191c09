"""Who we are: the files of a context, whatever they are called."""

import subprocess
import sys
from pathlib import Path

import pytest

from diegod.client.connect import identity_of
from diegod.config.contexts import TlsFiles
from diegod.security.authority import create_authority, issue
from diegod.security.errors import SecurityError
from diegod.security.identity import Role
from diegod.world import SystemClock


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    now = SystemClock().wall()
    authority = create_authority("prod", tmp_path / "ca", now)
    issue(authority, Role.USER, "alice", [], tmp_path / "alice", now)
    return tmp_path / "alice"


def test_the_folder_of_ca_issue_is_an_identity(alice: Path) -> None:
    identity = identity_of(TlsFiles.of_user(alice), SystemClock().wall())
    assert identity.principal.uri == "spiffe://prod/user/alice"


def test_files_of_other_names_and_folders_are_one_too(alice: Path, tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "root.pem", tmp_path / "me.pem", tmp_path / "keys" / "me.key")
    files.client_key.parent.mkdir()
    for source, target in zip(
        ("ca.crt", "user.crt", "user.key"),
        (files.ca_cert, files.client_cert, files.client_key),
        strict=True,
    ):
        (alice / source).rename(target)
    assert str(identity_of(files, SystemClock().wall()).principal) == "user/alice"


def test_another_cluster_than_the_context_expects_is_refused(alice: Path) -> None:
    with pytest.raises(SecurityError, match="staging"):
        identity_of(TlsFiles.of_user(alice), SystemClock().wall(), "staging")


def test_the_client_needs_neither_typer_nor_yaml() -> None:
    program = (
        "import sys, diegod.client;"
        "print([m for m in ('typer', 'rich', 'ruamel', 'lmdb', 'numpy', 'structlog', 'pydantic') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
