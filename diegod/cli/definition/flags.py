"""Flags that tasks and LRPs share, as parts of a definition, and what they make put to the test.

Does not belong here: the flags of one noun alone (`lrp/flags.py`, `lrp/policy.py`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.cli.terminal.quantities import memory_mb
from diegod.models import admission
from diegod.models.admission import Definition

DEFAULT_ROOTFS = "preloaded:busybox"

MemoryOption = Annotated[
    str, typer.Option("-m", "--memory-mb", metavar="MB", help="256, or 1g.")
]
EnvOption = Annotated[list[str] | None, typer.Option("-e", "--env", metavar="NAME=VALUE")]
EnvFileOption = Annotated[list[Path] | None, typer.Option("--env-file", metavar="FILE")]


def memory_of(text: str) -> int:
    """-m as megabytes."""
    try:
        return memory_mb(text)
    except ValueError as error:
        raise CliError(f"-m: {error}", USAGE) from None


def admitted(definition: Definition) -> None:
    """Refuse what was put together from flags, before it is sent."""
    if problems := admission.problems(definition):
        raise CliError("nothing was stored", USAGE, [str(each) for each in problems])


def environment(
    given: Sequence[str], files: Sequence[Path], own: Mapping[str, str]
) -> dict[str, str]:
    """`-e NAME=VALUE` over `--env-file`; `-e NAME` alone passes on our own value."""
    variables: dict[str, str] = {}
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                _add(variables, line.strip(), own, f"{file}:{number}")
    for each in given:
        _add(variables, each, own, "-e")
    return variables


def _add(variables: dict[str, str], text: str, own: Mapping[str, str], where: str) -> None:
    name, equals, value = text.partition("=")
    if not equals and name not in own:
        raise CliError(f"{where}: {name} is not set here; write NAME=VALUE", USAGE)
    variables[name] = value if equals else own[name]
