"""The runner of documentation blocks: what it reads, and that a page that lies fails."""

import os
import time
from pathlib import Path

import pytest

from tests.repo import console

PAGE = """\
# A page

<!-- run -->
```console
$ echo one \\
    two
one two
$ printf 'a\\nb\\n'
a
...
```

<!-- not run: takes long -->
```console
$ sleep 1000
```

1. in a list

   <!-- run: root background -->
   ```console
   $ tail -f /dev/null
   ```

```console
$ nobody said
```
"""


def page(body: str, order: str = "run") -> list[console.Block]:
    return console.blocks(f"<!-- {order} -->\n```console\n{body}```\n")


def run(body: str, order: str = "run") -> None:
    console.run_page(page(body, order), "/nowhere")


def test_blocks_are_found_with_their_orders() -> None:
    found = console.blocks(PAGE)
    assert [block.order for block in found] == [
        "run",
        "not run: takes long",
        "run: root background",
        None,
    ]
    assert [block.is_run for block in found] == [True, False, True, False]
    assert [block.has("background") for block in found] == [False, False, True, False]
    assert found[0].line == 5


def test_a_command_may_go_on_over_lines_and_indentation_is_the_lists() -> None:
    found = console.blocks(PAGE)
    assert found[0].commands() == [
        ("echo one \\\n    two", "one two\n"),
        ("printf 'a\\nb\\n'", "a\n...\n"),
    ]
    assert found[2].commands() == [("tail -f /dev/null", "")]


def test_what_a_page_says_is_run() -> None:
    console.run_page([block for block in console.blocks(PAGE) if block.order == "run"], "/nowhere")


@pytest.mark.parametrize(
    "body",
    [
        "$ echo one\ntwo\n",
        "$ echo one\n",
        "$ true\none\n",
        "$ exit 3\n",
        "$ no-such-program\n...\n",
    ],
)
def test_a_page_that_lies_fails(body: str) -> None:
    with pytest.raises(console.PageError, match="line 3: "):
        run(body)


def test_blocks_share_a_folder_that_is_empty_at_first() -> None:
    run('$ ls\n$ pwd > here\n$ cat here\n...diegod-page-...\n$ test "$(cat here)" = "$HOME"\n')


def test_a_background_command_lives_until_the_page_ends(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"$ sh -c 'echo $$ > {pid_file}; echo ready; exec tail -f /dev/null'\nready\n"
    both = [*page(body, "run: background"), *page(f"$ kill -0 $(cat {pid_file})\n")]
    console.run_page(both, "/nowhere")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_background_command_that_ends_at_once_fails() -> None:
    started = time.monotonic()
    with pytest.raises(console.PageError):
        run("$ echo sorry\nready\n", "run: background")
    assert time.monotonic() - started < console.COMMAND_S
