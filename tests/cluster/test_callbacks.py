"""A task that has ended is told to its callback URL: a real brain, and a receiver that listens."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster.dev import ONLY_EXEC, Dev
from tests.cluster.waiting import until

pytestmark = ONLY_EXEC


@dataclass
class Receiver:
    """Answers each post with the next of its statuses, and with the last one ever after."""

    statuses: list[int] = field(default_factory=lambda: [200])
    url: str = ""
    posts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # path, key, body

    def heard(self, path: str, key: str, body: dict[str, Any]) -> int:
        self.posts.append((path, key, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = receiver.heard(self.path, self.headers["Idempotency-Key"], body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Standard error is the test's."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def shown(dev: Dev, guid: str) -> dict[str, Any]:
    return dev.run("task", "show", "-o", "json", guid).succeeded().record


def delivered(dev: Dev, guid: str) -> dict[str, Any]:
    """The record, once its callback has been heard."""

    def look() -> dict[str, Any] | None:
        record = shown(dev, guid)
        return record if record["callback"]["delivered"] else None

    return until(f"the callback of {guid}", look)


def test_the_end_of_a_task_is_told_once(dev: Dev, receiver: Receiver) -> None:
    result = dev.terminal.home / "result"
    flags = ["--guid", "told", "--result-file", str(result), "--callback", f"{receiver.url}/ci"]
    dev.run("task", "run", *flags, "sh", "-c", f"printf forty-two > {result}").succeeded()
    record = delivered(dev, "told")
    [(path, key, body)] = receiver.posts
    assert (path, key) == ("/ci", f"told/{record['attempt']}")
    said_of_times = {name: body.pop(name) for name in ("created_at", "completed_at")}
    assert said_of_times == {name: record[name] for name in said_of_times}
    revision = body.pop("revision")
    assert int(revision) < int(record["provenance"]["revision"])
    assert body == {
        "task_guid": "told",
        "domain": "default",
        "attempt": int(record["attempt"]),
        "failed": False,
        "failure_reason": "",
        "failure": "NONE",
        "result": "forty-two",
        "annotation": "",
        "exit_status": 0,
    }
    assert record["state"] == "COMPLETED"
    assert (record["callback"]["tries"], record["callback"]["http_status"]) == (1, 200)
    # Whatever the brain does in its next rounds, and in the first of its next life.
    dev.run("dev", "kill", "brain-1").succeeded()
    dev.run("dev", "start", "brain-1").succeeded()
    dev.run("task", "run", "true").succeeded()
    assert len(receiver.posts) == 1


def test_a_receiver_that_is_busy_is_asked_again(dev: Dev, receiver: Receiver) -> None:
    receiver.statuses = [503, 200]
    run = ["task", "run", "--guid", "busy", "--callback", receiver.url]
    assert dev.run(*run, "sh", "-c", "exit 7").status == 7
    record = delivered(dev, "busy")
    assert (record["callback"]["tries"], record["callback"]["http_status"]) == (2, 200)
    first, second = (body for _, _, body in receiver.posts)
    assert (first["failed"], first["failure"], first["exit_status"]) == (True, "PROGRAM", 7)
    assert first["failure_reason"] == "exited with status 7"
    assert int(first.pop("revision")) < int(second.pop("revision"))
    assert first == second
    assert {key for _, key, _ in receiver.posts} == {f"busy/{record['attempt']}"}
    told = dev.run("story", "-o", "json", "busy").succeeded().records
    states = [line["state"] for line in told if "revision" in line]
    assert states[-4:] == ["RESOLVING", "COMPLETED"] * 2
