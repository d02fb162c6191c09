"""`diegod plugin ls`: what became of each."""

import json

from tests.unit.cli.conftest import Run


def test_plugins_are_listed_with_their_state(run: Run) -> None:
    rows = [json.loads(line) for line in run("plugin", "ls", "-o", "json").text.splitlines()]
    by_name = {(row["kind"], row["name"]): row for row in rows}
    assert by_name["backend", "exec"]["state"] == "ready"
    assert by_name["strategy", "spread"]["distribution"] == "diegod"
