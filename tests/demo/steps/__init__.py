"""What is shown, in this order."""

from tests.demo import sabotage
from tests.demo.stage import Step
from tests.demo.steps import agent, clean, cluster, crash, leader, machine, task, traffic, web

STEPS = (
    Step(
        "cluster",
        "three members, a brain and two cells; strangers are refused by all of them",
        cluster.run,
        "a stranger gets a certificate of the cluster",
        sabotage.give_the_stranger_a_certificate,
    ),
    Step(
        "task",
        "a task's output and exit status; its program was started once",
        task.run,
        "its program is run once more under its name",
        sabotage.start_the_task_again,
    ),
    Step(
        "web",
        "three instances over two cells, health-checked, all answering over HTTP",
        web.run,
        "the packet filter's rules of cell-2 are removed",
        sabotage.remove_the_rules_of_a_cell,
    ),
    Step(
        "crash",
        "a container is killed: its instance comes back as another process",
        crash.run,
        "another instance is killed as well",
        sabotage.kill_one_more_instance,
    ),
    Step(
        "agent",
        "a cell's agent is killed and started again: same containers, no restart",
        agent.run,
        "a container is killed while its agent is away",
        sabotage.kill_an_instance_of_the_cell,
    ),
    Step(
        "leader",
        "the BBS leader is killed while a task is submitted, which runs once",
        leader.run,
        "its program is run once more under its name",
        sabotage.start_the_task_again,
    ),
    Step(
        "machine",
        "a cell is killed with its containers: they are replaced within the lease + 2 s",
        machine.run,
        "the brain is paused",
        sabotage.pause_the_brain,
    ),
    Step(
        "traffic",
        "requests through all of this: none failed at an instance that was not killed",
        traffic.run,
        "the packet filter refuses requests for a moment while the agent is away",
        sabotage.refuse_requests,
    ),
    Step(
        "clean",
        "the host is as it was before",
        clean.run,
        "a network link of a cell's name is left behind",
        sabotage.leave_a_link,
    ),
)
