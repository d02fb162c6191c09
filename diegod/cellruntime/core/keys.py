"""Which container is meant: keys of tasks and instances, and the handles made from them.

A handle is never used twice: an attempt is a revision, and an instance guid is made from one.
"""

from dataclasses import dataclass

#: With prefix and attempt a handle stays below the 128 bytes of `ContainerSpec.handle`. A shortened
#: guid is no danger: the attempt alone is unique in the cluster.
_GUID_IN_HANDLE_MAX = 96


@dataclass(frozen=True)
class TaskKey:
    task_guid: str
    attempt: int

    @property
    def handle(self) -> str:
        return f"t-{self.task_guid[:_GUID_IN_HANDLE_MAX]}-{self.attempt}"


@dataclass(frozen=True)
class InstanceKey:
    process_guid: str
    index: int
    instance_guid: str

    @property
    def handle(self) -> str:
        return instance_handle(self.instance_guid)


@dataclass(frozen=True)
class StrayKey:
    """A container that the backend has and of which nothing else is known."""

    handle: str


Key = TaskKey | InstanceKey | StrayKey


def instance_handle(instance_guid: str) -> str:
    return f"l-{instance_guid}"


def task_handle_prefix(task_guid: str) -> str:
    """What the handles of all attempts of a task begin with; the attempt follows."""
    return f"t-{task_guid[:_GUID_IN_HANDLE_MAX]}-"


def key_of_handle(handle: str) -> Key:
    """As much of the key as the handle tells."""
    kind, _, rest = handle.partition("-")
    guid, _, attempt = rest.rpartition("-")
    if kind == "t" and guid and attempt.isdecimal():
        return TaskKey(guid, int(attempt))
    if kind == "l" and rest:
        return InstanceKey("", 0, rest)
    return StrayKey(handle)
