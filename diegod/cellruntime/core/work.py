"""What is to be run: everything about a container that its specification is made from."""

from dataclasses import dataclass

from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.contracts.backend import PortSpec
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition

Definition = TaskDefinition | LrpDefinition


@dataclass(frozen=True)
class Work:
    key: TaskKey | InstanceKey
    definition: Definition
    ports: tuple[PortSpec, ...] = ()
    address: str = ""  # of the container; known once it is prepared
    fencing_token: int = 0  # of a task; known once its start is granted

    @property
    def handle(self) -> str:
        return self.key.handle
