"""What a container sees."""

import json
from pathlib import Path

from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.cellruntime.core.states import CellFacts
from diegod.cellruntime.core.work import Work
from diegod.cellruntime.environment import container_spec, environment
from diegod.contracts.backend import Limits, Owner, PortSpec
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition

NETNS = CellFacts("cell-1", "192.0.2.17", network_namespace=True)
HOST = CellFacts("cell-1", "192.0.2.17", network_namespace=False)
PORTS = (PortSpec("http", 8080, 61000), PortSpec("admin", 9100, 61001))
WEB = Work(
    InstanceKey("my_web", 2, "i9"),
    LrpDefinition(rootfs="preloaded:busybox", action=Action(run=RunAction(path="/bin/web"))),
    PORTS,
    "10.9.0.3",
)


def job(**env: str) -> Work:
    run = RunAction(path="/bin/job", args=["-x"], dir="/srv", user="app", env=env)
    definition = TaskDefinition(
        rootfs="dir:/r",
        action=Action(run=run),
        memory_mb=64,
        disk_mb=10,
        cpu_weight=20,
        max_pids=30,
        environment_variables={"COLOUR": "red", "SHAPE": "round"},
    )
    return Work(TaskKey("job", 7), definition, fencing_token=8)


def test_an_instance_with_an_address_of_its_own() -> None:
    env = environment(WEB, NETNS)
    assert {name: env[name] for name in sorted(env) if name != "PATH"} == {
        "CF_INSTANCE_ADDR": "192.0.2.17:61000",
        "CF_INSTANCE_GUID": "i9",
        "CF_INSTANCE_INDEX": "2",
        "CF_INSTANCE_INTERNAL_IP": "10.9.0.3",
        "CF_INSTANCE_IP": "192.0.2.17",
        "CF_INSTANCE_PORT": "61000",
        "CF_INSTANCE_PORTS": '[{"external":61000,"internal":8080},'
        '{"external":61001,"internal":9100}]',
        "DIEGOD_CELL_ID": "cell-1",
        "DIEGOD_PORT_ADMIN": "9100",
        "DIEGOD_PORT_HTTP": "8080",
        "DIEGOD_PROCESS_GUID": "my_web",
        "INSTANCE_GUID": "i9",
        "INSTANCE_INDEX": "2",
        "PORT": "8080",
    }


def test_an_instance_on_the_host_s_network_binds_host_ports() -> None:
    env = environment(WEB, HOST)
    assert (env["PORT"], env["DIEGOD_PORT_ADMIN"]) == ("61000", "61001")
    assert env["CF_INSTANCE_INTERNAL_IP"] == "192.0.2.17"
    assert [pair["internal"] for pair in json.loads(env["CF_INSTANCE_PORTS"])] == [61000, 61001]


def test_a_task_knows_its_attempt_and_its_fencing_token() -> None:
    env = environment(job(), NETNS)
    assert (env["DIEGOD_TASK_GUID"], env["DIEGOD_ATTEMPT"]) == ("job", "7")
    assert env["DIEGOD_FENCING_TOKEN"] == "8"
    assert (env["CF_INSTANCE_PORTS"], env["CF_INSTANCE_ADDR"]) == ("[]", "")
    assert not {"PORT", "INSTANCE_GUID"} & set(env)


def test_the_action_comes_after_the_definition_and_before_what_is_true() -> None:
    env = environment(
        job(COLOUR="blue", PATH="/opt/bin", DIEGOD_FENCING_TOKEN="9", CF_INSTANCE_IP="x"), NETNS
    )
    assert (env["COLOUR"], env["SHAPE"], env["PATH"]) == ("blue", "round", "/opt/bin")
    assert (env["DIEGOD_FENCING_TOKEN"], env["CF_INSTANCE_IP"]) == ("8", "192.0.2.17")


def test_the_specification() -> None:
    owner = Owner("cluster", "cell-1")
    spec = container_spec(job(), NETNS, owner, Path("/x"))
    assert (spec.handle, spec.owner, spec.directory) == ("t-job-7", owner, Path("/x"))
    assert (spec.rootfs, list(spec.argv)) == ("dir:/r", ["/bin/job", "-x"])
    assert (spec.working_dir, spec.user, spec.hostname) == ("/srv", "app", "job")
    assert spec.limits == Limits(memory_mb=64, cpu_weight=20, max_pids=30, disk_mb=10)
    assert spec.labels == {"kind": "task", "guid": "job", "attempt": "7"}


def test_host_names_are_host_names() -> None:
    owner, here = Owner("cluster", "cell-1"), Path("/x")
    assert container_spec(WEB, NETNS, owner, here).hostname == "my-web-2"
    key = InstanceKey("p" * 128, 10_000, "i9")
    long = container_spec(Work(key, WEB.definition), NETNS, owner, here).hostname
    assert len(long) <= 63
    assert long.endswith("-10000")
    under = Work(TaskKey("___", 7), WEB.definition)
    assert container_spec(under, NETNS, owner, here).hostname == "container"
