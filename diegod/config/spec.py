"""Spec files: which definitions a file holds, or every problem of all of its documents.

The rules of one document are in `diegod.models.spec_reader`, YAML itself in `yaml_nodes.py`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from diegod.config.yaml_nodes import DocumentError, documents
from diegod.models.spec_reader import SpecDocument, SpecProblem, read_document

#: Standard input, as a file name on a command line.
STDIN = "-"


@dataclass(frozen=True)
class SpecFile:
    name: str
    documents: tuple[SpecDocument, ...]
    broken: SpecProblem | None = None  # where the text stopped being YAML or JSON

    @property
    def problems(self) -> list[str]:
        """One line each: `web.yaml:12 ports[0].container_port: 80800 is not a port (1–65535)`."""
        found = [problem for document in self.documents for problem in document.problems]
        if self.broken:
            found.append(self.broken)
        if not found and not self.documents:
            found.append(SpecProblem(1, "", "the file holds no document"))
        return [f"{self.name}:{problem.line} {problem}" for problem in found]


def read_spec_file(name: str) -> SpecFile:
    """Read a spec by its name, or standard input by "-". Raises OSError."""
    if name == STDIN:
        return parse_spec("stdin", sys.stdin.buffer.read())
    return parse_spec(name, Path(name).read_bytes())


def parse_spec(name: str, content: bytes) -> SpecFile:
    """Every document of a file. After a syntax error nothing more can be told."""
    read: list[SpecDocument] = []
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return SpecFile(name, (), SpecProblem(line, "", "not UTF-8"))
    try:
        for node in documents(text):
            read.append(read_document(node))
    except DocumentError as error:
        return SpecFile(name, tuple(read), SpecProblem(error.line, "", error.message))
    return SpecFile(name, tuple(read))
