"""Valid definitions, to be varied by a test in one line."""

from diegod.v1.definition_pb2 import (
    Action,
    CallbackPolicy,
    Dependency,
    LrpDefinition,
    Placement,
    RunAction,
    TaskDefinition,
    TaskParameter,
    TaskScheduleDefinition,
    UpdatePolicy,
)


def a_task(**changes: object) -> TaskDefinition:
    action = Action(run=RunAction(path="/bin/true"))
    given = {"task_guid": "report", "rootfs": "preloaded:busybox", "action": action} | changes
    return TaskDefinition(**given)  # type: ignore[arg-type]


def an_lrp(**changes: object) -> LrpDefinition:
    action = Action(run=RunAction(path="/bin/web"))
    given = {"process_guid": "web", "rootfs": "preloaded:busybox", "action": action} | changes
    return LrpDefinition(**given)  # type: ignore[arg-type]


def a_full_task() -> TaskDefinition:
    """Every field there is, none at its default."""
    run = RunAction(path="/bin/report", args=["--out", "1.10"], dir="/data", user="app")
    run.env["LANG"] = "C"
    return TaskDefinition(
        task_guid="nightly-report",
        domain="shop",
        rootfs="dir:/srv/rootfs",
        action=Action(run=run),
        memory_mb=64,
        disk_mb=0,
        cpu_weight=7,
        max_pids=9,
        environment_variables={"COUNTRY": "no", "VERSION": "1.10", "EMPTY": "", "TEXT": "a: #b\n"},
        start_deadline_ms=1000,
        execution_timeout_ms=5000,
        max_placement_attempts=1,
        retention_ms=0,
        placement_tags=["batch", "null"],
        placement=Placement(strategy="binpack", cell_id="c7"),
        metric_tags={"team": "finance"},
        annotation="ticket SHOP-118: “done”\n",
        result_file="/tmp/result.json",
        completion_callback_url="https://ci.example.com:8443/hooks/diegod?job=7",
        callback_policy=CallbackPolicy(backoff_ms=200, max_backoff_ms=300, give_up_after_ms=0),
        depends_on=[
            Dependency(lrp="db", condition=Dependency.HEALTHY),
            Dependency(task="schema-17", condition=Dependency.COMPLETED),
        ],
        stop_signal="INT",
        stop_timeout_ms=0,
    )


def a_schedule(**changes: object) -> TaskScheduleDefinition:
    task = a_task()
    task.ClearField("task_guid")
    given = {"name": "nightly", "cron": "0 3 * * *", "task": task} | changes
    return TaskScheduleDefinition(**given)  # type: ignore[arg-type]


def a_full_schedule() -> TaskScheduleDefinition:
    """Every field there is, none at its default."""
    task = a_full_task()
    task.ClearField("task_guid")
    return a_schedule(
        domain="shop",
        cron="*/5 8-18 * * MON-FRI",
        time_zone="Europe/Berlin",
        allow_overlap=True,
        late_ms=1000,
        parameters=[TaskParameter(name="DEPTH", default_value="3"), TaskParameter(name="NOTE")],
        task=task,
    )


def a_full_lrp() -> LrpDefinition:
    """Every field there is, none at its default."""
    lrp = an_lrp(
        process_guid="web",
        domain="shop",
        instances=0,
        memory_mb=64,
        disk_mb=0,
        cpu_weight=1,
        max_pids=5,
        environment_variables={"N": "0123"},
        start_timeout_ms=0,
        stop_signal="QUIT",
        stop_timeout_ms=0,
        placement_tags=["public"],
        placement={"strategy": "spread", "cell_id": "c1"},
        metric_tags={"team": "shop"},
        annotation="owner: shop-oncall",
        crash_policy={
            "immediate_restarts": 0,
            "backoff_ms": 1,
            "max_backoff_ms": 2,
            "max_restarts": 0,
            "reset_after_ms": 0,
        },
    )
    lrp.ports.add(name="http", container_port=8080)
    lrp.ports.add(name="admin", container_port=9100)
    checks = lrp.check_definition.checks
    checks.add(interval_ms=10, timeout_ms=1, failure_threshold=2).tcp_check.port = 8080
    checks.add().http_check.MergeFrom(type(checks[0].http_check)(port=9100, path="/ok"))
    checks.add().command_check.MergeFrom(type(checks[0].command_check)(path="ok", args=["a"]))
    lrp.check_definition.startup_checks.add(interval_ms=70).tcp_check.port = 8080
    lrp.check_definition.readiness_checks.add(interval_ms=90).tcp_check.port = 9100
    lrp.update.order = UpdatePolicy.STOP_FIRST
    lrp.update.on_failure = UpdatePolicy.PAUSE
    lrp.update.max_in_flight = 3
    lrp.update.max_unavailable = 2
    lrp.update.canaries = 4
    lrp.update.min_healthy_ms = 0
    lrp.update.progress_deadline_ms = 2000
    lrp.depends_on.add(lrp="db", condition=Dependency.HEALTHY)
    lrp.depends_on.add(task="schema-17", condition=Dependency.COMPLETED)
    return lrp
