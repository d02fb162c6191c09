"""Lines of keys, which tomllib does not tell."""

from diegod.config.toml_lines import key_lines, line_of, syntax_error

TEXT = """\
roles = []
[a.b]
c = [
  "x",
]
"d e" = 1
f.g = 2
[[h]]
"""


def test_each_key_that_begins_a_line_has_its_line() -> None:
    assert key_lines(TEXT) == {
        ("roles",): 1,
        ("a", "b"): 2,
        ("a", "b", "c"): 3,
        ("a", "b", "d e"): 6,
        ("a", "b", "f", "g"): 7,
        ("h",): 8,
    }


def test_a_key_without_a_line_has_that_of_what_is_around_it() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, ("a", "b", "c", "inner")) == 3
    assert line_of(lines, ("nothing",)) == 1


def test_a_syntax_error_is_taken_apart() -> None:
    assert syntax_error("Invalid value (at line 12, column 5)") == (12, "Invalid value")
    assert syntax_error("odd") == (1, "odd")
