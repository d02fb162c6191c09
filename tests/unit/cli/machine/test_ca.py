"""`diegod ca …`: certificates, and refusals."""

import json
from pathlib import Path

from tests.unit.cli.conftest import Run


def test_from_an_empty_folder_to_a_signed_certificate(run: Run, home: Path) -> None:
    made = run("ca", "init", "--cluster", "prod", "--dir", "ca", "-o", "json")
    assert made.status == 0
    assert set(json.loads(made.text)) == {"cluster", "file", "sha256"}
    asked = run(
        "ca",
        "csr",
        "--role",
        "bbs",
        "--role",
        "brain",
        "--id",
        "n-1",
        "--host",
        "n-1",
        "--dir",
        "tls",
    )
    assert asked.text.split() == ["FILE", "tls/bbs.csr", "tls/brain.csr"]
    signed = run("ca", "sign", "tls/bbs.csr", "tls/brain.csr")
    assert signed.text.split() == ["FILE", "tls/bbs.crt", "tls/brain.crt"]
    row = json.loads(run("ca", "inspect", "tls/bbs.crt", "-o", "json").text)
    assert (row["uri"], row["hosts"], row["state"]) == ("spiffe://prod/bbs/n-1", ["n-1"], "valid")
    assert not (home / "ca" / "bbs.key").exists()


def test_a_refusal_of_the_ca_is_one_line(run: Run) -> None:
    result = run("ca", "sign", "nothing.csr")
    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith("diegod: the CA certificate ca/ca.crt is missing")
    assert result.err.count("\n") == 1
