"""Definitions from spec files. Does not belong here: flags and environment files (`flags.py`)."""

import re
from collections.abc import Sequence

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.config.spec import SpecFile, read_spec_file
from diegod.models.admission import Definition
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition, TaskScheduleDefinition

_OTHER_COMMAND = {
    "task": "diegod task submit",
    "lrp": "diegod lrp apply",
    "task_schedule": "diegod apply",
    "domain": "diegod apply",
}


#: What a schedule's document may leave out, since the command line has it.
_GIVEN_BY_NAME = re.compile(r":[0-9]+ (task_guid|name): is required")


def read_tasks(names: Sequence[str]) -> list[TaskDefinition]:
    """Every task of these files. Raises CliError with all that is wrong with all of them."""
    found = _read(names, "task")
    return [each for each in found if isinstance(each, TaskDefinition)]


def read_lrps(names: Sequence[str]) -> list[LrpDefinition]:
    """Every LRP of these files. Raises CliError with all that is wrong with all of them."""
    found = _read(names, "lrp")
    return [each for each in found if isinstance(each, LrpDefinition)]


def read_documents(names: Sequence[str]) -> list[Definition]:
    """Every document of these files. Raises CliError with all that is wrong with all of them."""
    return _read(names, "")


def read_schedule(file: str, name: str) -> TaskScheduleDefinition:
    """The one document of a file as the schedule of this name: a task without its guid, or a whole
    schedule. What is then still wrong is for `flags.admitted` to tell. Raises CliError."""
    read = read_spec_file(file)
    problems = [line for line in read.problems if not _GIVEN_BY_NAME.search(line)]
    problems += [
        f"{file}:{document.line} kind: {document.kind} is neither task nor task_schedule"
        for document in read.documents
        if document.kind in _OTHER_COMMAND and document.kind not in ("task", "task_schedule")
    ]
    if problems or len(read.documents) != 1:
        many = [] if problems else [f"{file} holds {len(read.documents)} documents, not one"]
        raise CliError("nothing was stored", USAGE, [*problems, *many])
    definition = read.documents[0].definition
    if isinstance(definition, TaskDefinition):
        definition.ClearField("task_guid")  # each of its tasks gets its own
        return TaskScheduleDefinition(name=name, domain=definition.domain, task=definition)
    assert isinstance(definition, TaskScheduleDefinition)
    if definition.name not in ("", name):
        raise CliError(f"{file} is the schedule {definition.name}, not {name}", USAGE)
    definition.name = name
    return definition


def _read(names: Sequence[str], kind: str) -> list[Definition]:
    """`kind`: that all of them have to be of; empty: any."""
    files = [read_spec_file(name) for name in names]
    problems = [line for file in files for line in [*file.problems, *_of_other_kind(file, kind)]]
    if problems:
        raise CliError("nothing was stored", USAGE, problems)
    documents = [document for file in files for document in file.documents]
    return [document.definition for document in documents if document.definition is not None]


def _of_other_kind(file: SpecFile, kind: str) -> list[str]:
    return [
        f"{file.name}:{document.line} kind: {document.kind} is not for this command: "
        f"{_OTHER_COMMAND[document.kind]} {file.name}"
        for document in file.documents
        if kind and document.kind in _OTHER_COMMAND and document.kind != kind
    ]
