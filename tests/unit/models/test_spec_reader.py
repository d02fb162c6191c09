"""One reading finds every fault of a file, each with its line and path."""
# ruff: noqa: E501 - a table of exact lines, one row a line

import pytest

from diegod.config.spec import parse_spec

TWELVE_FAULTS = """\
kind: lrp
process_guid: web shop
instances: "3"
rootfs: docker://x
memroy_mb: 3
cpu_weight: 20
cpu_weight: 30
action:
  run: {path: /bin/web, args: [1.10]}
environment_variables: {DIEGOD_X: "1"}
ports:
  - {name: http, container_port: 80800}
check_definition:
  checks:
    - {http_check: {port: 80800}, tcp_check: {port: 1}}
stop_timeout_ms: -1
placement_tags: public
max_pids:
"""

ITS_LINES = [
    'web.yaml:2 process_guid: "web shop" may contain only A–Z a–z 0–9 _ -',
    'web.yaml:3 instances: "3" is a text and a whole number is expected: take the quotes away',
    'web.yaml:4 rootfs: "docker://x" is neither preloaded:NAME nor dir:/PATH',
    "web.yaml:5 memroy_mb: unknown; did you mean memory_mb?",
    "web.yaml:7 cpu_weight: is already given in line 6",
    'web.yaml:9 action.run.args[0]: 1.10 is a number and a text is expected: quote it, "1.10"',
    "web.yaml:10 environment_variables.DIEGOD_X: "
    "is reserved: DIEGOD_* and CF_INSTANCE_* are set by the cell",
    "web.yaml:12 ports[0].container_port: 80800 is not a port (1–65535)",
    "web.yaml:15 check_definition.checks[0].tcp_check: "
    "is given beside http_check: only one of them may be",
    "web.yaml:15 check_definition.checks[0].http_check.port: 80800 is not a port (1–65535)",
    "web.yaml:16 stop_timeout_ms: -1 is not within 0–18446744073709551615",
    'web.yaml:17 placement_tags: a list is expected here, not "public"',
    "web.yaml:18 max_pids: nothing is given; leave the field out, or give it a value",
]


def problems(text: str) -> list[str]:
    return parse_spec("web.yaml", text.encode()).problems


def test_many_faults_of_as_many_sorts_are_found_at_once() -> None:
    assert problems(TWELVE_FAULTS) == ITS_LINES


def a_task(*lines: str) -> str:
    head = ["kind: task", "task_guid: t", "rootfs: preloaded:busybox"]
    return "\n".join([*head, "action: {run: {path: /bin/true}}", *lines])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("memory_mb: 1g", "memory_mb: \"1g\" is not a whole number; the unit is in the field's name"),
        ("memory_mb: 1.5", "memory_mb: 1.5 is not a whole number"),
        ("memory_mb: true", "memory_mb: true is not a whole number"),
        ("memory_mb: 99999999999", "memory_mb: 99999999999 is not within 0–4294967295"),
        ("memory_mb: {a: 1}", "memory_mb: a whole number is expected here, not a mapping"),
        ("annotation: 12", 'annotation: 12 is a number and a text is expected: quote it, "12"'),
        ("annotation: [a]", "annotation: a text is expected here, not a list"),
        ("placement: spread", 'placement: a mapping is expected here, not "spread"'),
        ("placement: {stratgy: x}", "placement.stratgy: unknown; did you mean strategy?"),
        ("placement_tags: [a, [b]]", "placement_tags[1]: a text is expected here, not a list"),
        ("metric_tags: [a]", "metric_tags: a mapping of names to texts is expected here, not a list"),
        ("metric_tags: {a: 1}", 'metric_tags.a: 1 is a number and a text is expected: quote it, "1"'),
        ("metric_tags: {a: x, a: y}", "metric_tags.a: is already given in line 5"),
        ("metric_tags: {1: x}", 'metric_tags.1: 1 is a number and a text is expected: quote it, "1"'),
        ("environment_variables: {A: }", 'environment_variables.A: nothing is given; an empty text is written ""'),
        ("kind: task", "kind: unknown"),
    ],
)  # fmt: skip
def test_one_fault_is_one_line(line: str, found: str) -> None:
    assert problems(a_task(line)) == [f"web.yaml:5 {found}"]


def test_a_text_that_only_yaml_1_1_would_mistake_is_a_text() -> None:
    read = parse_spec("t", a_task("environment_variables: {COUNTRY: NO, AT: 8080:22}").encode())
    assert read.problems == []
    definition = read.documents[0].definition
    assert definition is not None
    assert dict(definition.environment_variables) == {"COUNTRY": "NO", "AT": "8080:22"}


def test_an_unreadable_item_does_not_shift_the_others() -> None:
    text = a_task("placement_tags: [1, a b]")
    assert [line.partition(": ")[0] for line in problems(text)] == [
        "web.yaml:5 placement_tags[0]",
        "web.yaml:5 placement_tags[1]",
    ]


def test_what_could_not_be_read_is_not_also_called_missing() -> None:
    text = "kind: task\ntask_guid: [x]\nrootfs: preloaded:busybox\naction: {runn: {}}\n"
    assert problems(text) == [
        "web.yaml:2 task_guid: a text is expected here, not a list",
        "web.yaml:4 action.runn: unknown; did you mean run?",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("task_guid: a", "web.yaml:1 kind: is required: task, lrp or task_schedule"),
        ("kind: tsk", 'web.yaml:1 kind: "tsk" is not a kind of document, which is task, lrp or task_schedule; did you mean task?'),
        ("kind: [a]", "web.yaml:1 kind: a list is not a kind of document, which is task, lrp or task_schedule"),
        ("- a", "web.yaml:1 a document is a mapping with a kind, not a list"),
        ("just text", 'web.yaml:1 a document is a mapping with a kind, not "just text"'),
        ("", "web.yaml:1 the file holds no document"),
    ],
)  # fmt: skip
def test_a_document_that_says_not_what_it_is(text: str, found: str) -> None:
    assert problems(text) == [found]


def test_missing_things_are_reported_where_they_should_be() -> None:
    assert problems("kind: task\naction:\n  run: {}\n") == [
        "web.yaml:1 task_guid: is required",
        "web.yaml:1 rootfs: is required: preloaded:NAME or dir:/PATH",
        "web.yaml:3 action.run.path: is required",
    ]


def test_every_document_of_a_file_is_read() -> None:
    text = a_task() + "\n---\n" + a_task("cpu_weight: 0") + "\n---\nkind: lrp\n"
    read = parse_spec("many.yaml", text.encode())
    assert [document.kind for document in read.documents] == ["task", "task", "lrp"]
    assert [line.partition(" ")[0] for line in read.problems] == [
        "many.yaml:10",
        "many.yaml:12",
        "many.yaml:12",
        "many.yaml:12",
    ]
