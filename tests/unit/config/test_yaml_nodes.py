"""YAML's core rules, JSON with lines, and files that break off."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.config.yaml_nodes import DocumentError, documents, dump, resolve
from diegod.models.spec_nodes import Mapping, Scalar, Sequence


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False),
        ("12", 12), ("-3", -3), ("0123", 123), ("0o14", 12), ("0x1F", 31), ("1.10", 1.1),
        ("1e3", 1000.0), (".5", 0.5), (".inf", math.inf), ("no", "no"), ("NO", "NO"),
        ("yes", "yes"), ("on", "on"), ("8080:22", "8080:22"),
        ("2026-11-22", "2026-11-22"), ("1_000", "1_000"), ("0b11", "0b11"),
        ("1.2.3", "1.2.3"), ("9" * 200, math.inf),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_rules(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_and_block_scalars_are_texts() -> None:
    (node,) = documents("a: '1'\nb: \"true\"\nc: |\n  2\nd: !!str 3\n")
    assert isinstance(node, Mapping)
    values = [entry.node.value for entry in node.entries if isinstance(entry.node, Scalar)]
    assert values == ["1", "true", "2\n", "3"]


def test_lines_count_from_one_and_aliases_are_written_out() -> None:
    (node,) = documents("a: &x\n  - 1\n  - 2\nb: *x\n")
    assert isinstance(node, Mapping)
    first, second = node.entries
    assert first.node == second.node
    assert isinstance(first.node, Sequence)
    assert [item.line for item in first.node.items] == [2, 3]


def test_json_of_any_indentation_is_read_with_lines() -> None:
    (node,) = documents('{\n\t"a": "\\ud83d\\ude00 \\/",\n\t"b": [1,\n2]}')
    assert isinstance(node, Mapping)
    assert isinstance(node.entries[0].node, Scalar)
    assert node.entries[0].node.value == "😀 /"
    assert [entry.key.line for entry in node.entries] == [2, 3]


def test_a_file_of_json_lines_is_many_documents() -> None:
    nodes = list(documents('{"a": 1}\n{"a": 2}\n'))
    assert [node.line for node in nodes] == [1, 2]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: b: c", 1, "not YAML"),
        ("a:\n  - {x: 1\n", 3, "not YAML"),
        ('{"a": 1,}', 1, "not JSON"),
        ("a: &x {b: *x}", 1, "an alias stands inside of what it names"),
        ("a: !secret x", 1, "means nothing here"),
        ("[a]: 1", 1, "a key is a text"),
        ("a: *nobody", 1, "not YAML"),
    ],
)
def test_what_is_no_document_says_where(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        list(documents(text))
    assert caught.value.line == line
    assert message in caught.value.message


def test_a_few_anchors_do_not_become_billions_of_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with pytest.raises(DocumentError, match="more than 200000 values"):
        list(documents("\n".join(lines)))


VALUES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**63), 2**63)
    | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1- :#", max_size=4), inner)
    ),
    max_leaves=8,
)


def as_plain(node: object) -> object:
    if isinstance(node, Mapping):
        return {entry.key.value: as_plain(entry.node) for entry in node.entries}
    if isinstance(node, Sequence):
        return [as_plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


@given(VALUES)
def test_what_is_dumped_reads_back_the_same(value: object) -> None:
    (node,) = documents(dump({"value": value}))
    assert as_plain(node) == {"value": value}


@pytest.mark.parametrize("text", ["no", "Yes", "on", "1.10", "0123", "~", "8080:22", "2026-11-22"])
def test_texts_that_an_old_reader_would_mistake_are_quoted(text: str) -> None:
    assert dump({"a": text}) == f'a: "{text}"\n'
