"""YAML 1.2 and JSON as text, and back. The only user of ruamel.yaml.

Scalars are resolved here by YAML's core rules and nothing else: `NO` is a text, `0123` is 123,
`8080:22` is a text, dates are texts. JSON is read by the same rules, after Python's json has
split and checked it, so that both kinds of file have line numbers.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from diegod.models.spec_nodes import Entry, Mapping, Node, Scalar, Sequence, Value

#: A few repeated anchors can stand for billions of values; no definition needs this many.
NODES_MAX = 200_000

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_CORE_TAG = "tag:yaml.org,2002:"
#: Plain text that no reader of YAML, of 1.1 neither, takes for anything else.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_/.-]*")
_PLAIN_TRAPS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


class DocumentError(Exception):
    """The text is not YAML or JSON at all."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def documents(text: str) -> Iterator[Node]:
    """Every document of a file, in order. Raises DocumentError where the text breaks off."""
    if text.lstrip()[:1] == "{":
        yield from _json_documents(text)
    else:
        yield from _yaml_documents(text, first_line=1)


def _json_documents(text: str) -> Iterator[Node]:
    """One JSON object or many, one after another: `-o json` of a list is such a file."""
    decoder = json.JSONDecoder()
    position = len(text) - len(text.lstrip())
    while position < len(text):
        try:
            _, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise DocumentError(error.lineno, f"not JSON: {error.msg}") from None
        first_line = text.count("\n", 0, position) + 1
        # JSON has tabs between its tokens only, where YAML wants blanks.
        yield from _yaml_documents(text[position:end].replace("\t", " "), first_line)
        position = end + len(text[end:]) - len(text[end:].lstrip())


def _yaml_documents(text: str, first_line: int) -> Iterator[Node]:
    try:
        for root in YAML(typ="safe", pure=True).compose_all(text):
            if not _is_empty(root):
                yield _Converter(first_line).node(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = (mark.line if mark else 0) + first_line
        raise DocumentError(line, f"not YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise DocumentError(first_line, f"not YAML: {error}") from None


def _is_empty(root: Any) -> bool:
    """What two `---` with nothing but comments between them are."""
    return isinstance(root, ScalarNode) and root.value == ""


class _Converter:
    """One document of ruamel's nodes as ours, with aliases written out."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._count = 0
        self._open: list[Any] = []  # the nodes around the one at hand

    def node(self, source: Any) -> Node:
        line = source.start_mark.line + self._first_line
        self._count += 1
        if self._count > NODES_MAX:
            raise DocumentError(line, f"more than {NODES_MAX} values in one document")
        if any(source is around for around in self._open):
            raise DocumentError(line, "an alias stands inside of what it names")
        if isinstance(source, ScalarNode):
            return _scalar(source, line)
        self._open.append(source)
        node = self._collection(source, line)
        self._open.pop()
        return node

    def _collection(self, source: Any, line: int) -> Node:
        if isinstance(source, SequenceNode):
            return Sequence(tuple(self.node(item) for item in source.value), line)
        assert isinstance(source, MappingNode)
        return Mapping(tuple(self._entry(key, value) for key, value in source.value), line)

    def _entry(self, key: Any, value: Any) -> Entry:
        name = self.node(key)
        if not isinstance(name, Scalar):
            raise DocumentError(name.line, "a key is a text, not a list or a mapping")
        node = self.node(value)
        if isinstance(node, Scalar) and node.source == "":
            node = replace(node, line=name.line)  # where nothing is, the parser is further on
        return Entry(name, node)


def _scalar(source: Any, line: int) -> Scalar:
    text = str(source.value)
    if source.style in ("'", '"', "|", ">") or source.ctag == f"{_CORE_TAG}str":
        return Scalar(_joined(text), text, line)
    tag = str(source.tag)
    if not tag.startswith(_CORE_TAG):
        raise DocumentError(line, f"the tag {tag} means nothing here")
    return Scalar(resolve(text), text, line)


def _joined(text: str) -> str:
    """JSON spells characters beyond U+FFFF as two escapes; together they are one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def resolve(text: str) -> Value:
    """A plain scalar by the core rules of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _DECIMAL.fullmatch(text):
        return _whole(text, 10)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text) or _NAN.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _whole(text: str, base: int) -> int | float:
    """Thousands of digits are no number of ours, and slow to read."""
    return int(text, base) if len(text) < 100 else float("inf")


def dump(document: dict[str, Any]) -> str:
    """One document as block YAML that every YAML reader, old or new, reads the same."""
    out = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 2**16  # a folded text would read as another one
    yaml.dump(_quoted(document), out)
    return out.getvalue()


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_plain(value) else DoubleQuotedScalarString(value)
    if isinstance(value, dict):
        return {_quoted(name): _quoted(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return value


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _PLAIN_TRAPS
