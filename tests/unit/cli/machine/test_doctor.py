"""`diegod doctor`: what is missing, and its cure."""

import json
from dataclasses import replace

import pytest

from diegod.contracts.backend import Finding
from diegod.node import plugins
from diegod.plugins import BackendPlugin
from diegod.plugins.registry import Source, judged, registry
from diegod.testing.fake_backend import FakeBackend, FakeHost
from tests.unit.cli.conftest import Run


def test_doctor_names_what_is_missing_and_its_cure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is the backend's to say; here, a plugin that misses something."""
    lacks = Finding("tar is not in PATH", "images can't be opened", "apt-get install tar")
    note = Finding("it is slow", "the disk", "a better one", hinders=False)
    records = [
        BackendPlugin(f"b{n}", 1, lambda owner, folder, settings: FakeBackend(owner, FakeHost()))
        for n in range(2)
    ]
    records = [
        replace(records[0], problems=lambda: [lacks, note]),
        replace(records[1], problems=lambda: [note]),
    ]
    source = Source("acme", "1.0", "acme.py")
    found = registry(judged(record, source, "linux") for record in records)
    monkeypatch.setattr(plugins, "load_all_plugins", lambda: found)
    result = run("doctor", "-o", "json")
    assert result.status == 1
    rows = [json.loads(line) for line in result.text.splitlines()]
    said = [(row["check"], row["state"], row["cure"]) for row in rows[1:]]
    assert said == [
        ("backend b0", "LACKING", "apt-get install tar"),
        ("backend b0", "note", "a better one"),
        ("backend b1", "ok", ""),
        ("backend b1", "note", "a better one"),
    ]
