"""What runc says, turned into one line for a person."""

from pathlib import Path

import pytest

from diegod_runc.runc import for_people, last_error


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "runc create failed: unable to start container process: "
            'exec: "/nope": stat /nope: no such file or directory\n',
            "/nope can't be run: no such file or directory",
        ),
        (
            'runc create failed: unable to start container process: exec: "nope": '
            "executable file not found in $PATH",
            "nope can't be run: executable file not found in $PATH",
        ),
        (
            'exec failed: unable to start container process: exec: "a": permission denied',
            "a can't be run: permission denied",
        ),
        ("container does not exist", "container does not exist"),
        ("two\nlines", "two lines"),
    ],
)
def test_readable(message: str, line: str) -> None:
    assert for_people(message) == line


def test_last_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "runc.log"
    assert last_error(log) == ""
    log.write_text(
        '{"level":"error","msg":"first"}\n'
        '{"level":"error","msg":"runc create failed: second"}\n'
        '{"level":"warning","msg":"third"}\n'
        '{"level":"error","ms'
    )
    assert last_error(log) == "second"
