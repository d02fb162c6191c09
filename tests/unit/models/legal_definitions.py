"""Random definitions that admission takes: every field of the message may be given or left out."""

from hypothesis import strategies as st

from diegod.v1.definition_pb2 import (
    Action,
    CallbackPolicy,
    Check,
    CheckDefinition,
    CommandCheck,
    CrashPolicy,
    Dependency,
    HttpCheck,
    LrpDefinition,
    Placement,
    PortMapping,
    RunAction,
    TaskDefinition,
    TcpCheck,
    UpdatePolicy,
)

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
#: None of them is the name of something to depend on.
_GUIDS = NAMES.map(lambda name: f"guid-{name}")
_LOWER = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
#: What YAML would take for something else is what a person writes sooner or later.
TEXTS = st.sampled_from(["", "no", "1.10", "0123", "a: #b", "“done”", "two\nlines\n", " x ", "~"])
_VARIABLES = st.dictionaries(st.from_regex(r"[A-C][A-Z_]{0,6}", fullmatch=True), TEXTS, max_size=3)
_PATHS = st.sampled_from(["/", "/data", "/a b"])



def _message(kind: type, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


_RUN = st.builds(
    lambda path, args, dir_, env, user: Action(
        run=RunAction(path=path, args=args, dir=dir_, env=env, user=user)
    ),
    st.sampled_from(["/bin/web", "sh"]),
    st.lists(TEXTS, max_size=3),
    _PATHS | st.just(""),
    _VARIABLES,
    st.sampled_from(["", "app", "1000:1000"]),
)
_TIMES = {
    "interval_ms": st.integers(10, 60_000),
    "timeout_ms": st.integers(1, 60_000),
    "failure_threshold": st.integers(1, 9),
}


def _checks(ports: list[int]) -> st.SearchStrategy[object]:
    kinds = [st.builds(lambda p: {"command_check": CommandCheck(path=p)}, NAMES)]
    if ports:
        numbers = st.sampled_from(ports)
        kinds.append(st.builds(lambda p: {"tcp_check": TcpCheck(port=p)}, numbers))
        kinds.append(
            st.builds(
                lambda p, path: {"http_check": HttpCheck(port=p, path=path)},
                numbers,
                st.sampled_from(["", "/", "/ok"]),
            )
        )
    one = st.builds(
        lambda kind, times: Check(**kind, **times),
        st.one_of(kinds),
        st.fixed_dictionaries({}, optional=_TIMES),
    )
    some = st.lists(one, max_size=2)
    return _message(CheckDefinition, checks=some, startup_checks=some, readiness_checks=some)


_DEPENDENCIES = st.lists(
    st.builds(
        lambda name, condition: Dependency(lrp=name, condition=condition),
        NAMES,
        st.sampled_from([Dependency.DEFAULT, Dependency.HEALTHY]),
    )
    | st.builds(
        lambda name, condition: Dependency(task=name, condition=condition),
        NAMES,
        st.sampled_from([Dependency.DEFAULT, Dependency.SUCCEEDED, Dependency.COMPLETED]),
    ),
    max_size=2,
    unique_by=lambda each: (each.lrp, each.task),
)
_CONTAINER: dict[str, st.SearchStrategy[object]] = {
    "domain": st.sampled_from(["", "shop"]),
    "memory_mb": st.integers(4, 4096),
    "disk_mb": st.integers(0, 4096),
    "cpu_weight": st.integers(1, 100),
    "max_pids": st.integers(1, 4096),
    "environment_variables": _VARIABLES,
    "placement_tags": st.lists(NAMES, max_size=3, unique=True),
    "placement": _message(Placement, strategy=st.just("binpack"), cell_id=NAMES),
    "metric_tags": st.dictionaries(_LOWER, TEXTS, max_size=2),
    "annotation": TEXTS,
    "depends_on": _DEPENDENCIES,
    "stop_signal": st.sampled_from(["", "TERM", "QUIT"]),
    "stop_timeout_ms": st.integers(0, 60_000),
}
_UPDATE = _message(
    UpdatePolicy,
    strategy=st.sampled_from(UpdatePolicy.Strategy.values()),
    order=st.sampled_from(UpdatePolicy.Order.values()),
    max_in_flight=st.integers(1, 9),
    max_unavailable=st.integers(1, 9),
    canaries=st.integers(0, 9),
    min_healthy_ms=st.integers(0, 60_000),
    progress_deadline_ms=st.integers(120_000, 600_000),
    on_failure=st.sampled_from(UpdatePolicy.OnFailure.values()),
)
_CRASH_POLICY = _message(
    CrashPolicy,
    immediate_restarts=st.integers(0, 9),
    backoff_ms=st.integers(0, 30_000),
    max_backoff_ms=st.integers(30_000, 90_000),
    max_restarts=st.integers(0, 500),
    reset_after_ms=st.integers(0, 90_000),
)


@st.composite
def lrps(draw: st.DrawFn) -> LrpDefinition:
    numbers = draw(st.lists(st.integers(1, 65_535), max_size=3, unique=True))
    named = draw(st.booleans())
    ports = [
        PortMapping(name=f"p{number}" if named else "", container_port=number)
        for number in numbers
    ]
    fields = _CONTAINER | {
        "instances": st.integers(0, 9),
        "start_timeout_ms": st.integers(0, 60_000),
        "check_definition": _checks(numbers),
        "crash_policy": _CRASH_POLICY,
        "mode": st.sampled_from(LrpDefinition.Mode.values()),
        "update": _UPDATE,
    }
    given = draw(st.fixed_dictionaries({}, optional=fields))
    lrp = LrpDefinition(
        process_guid=draw(_GUIDS),
        rootfs="preloaded:busybox",
        action=draw(_RUN),
        ports=ports,
        **given,
    )
    if lrp.mode == LrpDefinition.GLOBAL:  # one a cell: no number, and no cell of its own
        lrp.ClearField("instances")
        lrp.placement.cell_id = ""
    if lrp.update.strategy == UpdatePolicy.RECREATE:
        lrp.update.ClearField("canaries")
    return lrp


@st.composite
def tasks(draw: st.DrawFn) -> TaskDefinition:
    fields = _CONTAINER | {
        "start_deadline_ms": st.integers(1, 60_000),
        "execution_timeout_ms": st.integers(0, 60_000),
        "max_placement_attempts": st.integers(1, 9),
        "retention_ms": st.integers(0, 60_000),
        "result_file": st.sampled_from(["", "/tmp/result.json"]),
        "completion_callback_url": st.sampled_from(["", "https://ci.example.com/hooks"]),
        "callback_policy": _message(
            CallbackPolicy,
            backoff_ms=st.integers(100, 1000),
            max_backoff_ms=st.integers(300_000, 400_000),
            give_up_after_ms=st.integers(0, 90_000),
        ),
    }
    given = draw(st.fixed_dictionaries({}, optional=fields))
    task = TaskDefinition(
        task_guid=draw(_GUIDS), rootfs="preloaded:busybox", action=draw(_RUN), **given
    )
    if not task.completion_callback_url:
        task.ClearField("callback_policy")
    return task
