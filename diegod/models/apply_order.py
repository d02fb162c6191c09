"""In which order documents are applied: what others wait for comes first. Pure."""

from collections.abc import Sequence

from diegod.v1 import definition_pb2

Document = (
    definition_pb2.TaskDefinition
    | definition_pb2.LrpDefinition
    | definition_pb2.TaskScheduleDefinition
    | definition_pb2.DomainDefinition
)
#: Kind and name: of a task its guid, of an LRP its process guid.
Ref = tuple[str, str]


class CycleError(Exception):
    """Documents that wait for one another: none of them could ever be placed."""

    def __init__(self, refs: Sequence[Ref]) -> None:
        self.refs = tuple(refs)
        around = " → ".join(f"{kind} {name}" for kind, name in [*refs, refs[0]])
        super().__init__(f"depends_on goes round in a circle: {around}")


def ref_of(document: Document) -> Ref:
    if isinstance(document, definition_pb2.TaskDefinition):
        return "task", document.task_guid
    if isinstance(document, definition_pb2.LrpDefinition):
        return "lrp", document.process_guid
    if isinstance(document, definition_pb2.TaskScheduleDefinition):
        return "task_schedule", document.name
    return "domain", document.domain


def in_apply_order(documents: Sequence[Document]) -> list[Document]:
    """Domains first; then each behind what it depends on, otherwise as they were given.

    What is depended on and is not among the documents is the cluster's business. Raises CycleError.
    """
    by_ref = {ref_of(each): each for each in documents}
    domains = [each for each in by_ref.values() if ref_of(each)[0] == "domain"]
    order = _Order(by_ref)
    for ref in by_ref:
        order.visit(ref, [])
    return [*domains, *(each for each in order.done.values() if ref_of(each)[0] != "domain")]


class _Order:
    """A depth-first walk along `depends_on`."""

    def __init__(self, by_ref: dict[Ref, Document]) -> None:
        self._by_ref = by_ref
        self.done: dict[Ref, Document] = {}

    def visit(self, ref: Ref, path: list[Ref]) -> None:
        if ref in self.done or ref not in self._by_ref:
            return
        if ref in path:
            raise CycleError(path[path.index(ref) :])
        for other in _waits_for(self._by_ref[ref]):
            self.visit(other, [*path, ref])
        self.done[ref] = self._by_ref[ref]


def _waits_for(document: Document) -> list[Ref]:
    if isinstance(document, definition_pb2.TaskScheduleDefinition):
        return _dependencies(document.task.depends_on)
    if isinstance(document, definition_pb2.DomainDefinition):
        return []
    return _dependencies(document.depends_on)


def _dependencies(given: Sequence[definition_pb2.Dependency]) -> list[Ref]:
    return [("lrp", each.lrp) if each.lrp else ("task", each.task) for each in given]
