"""Options that several `diegod bbs` commands have."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", envvar="DIEGOD_CONFIG")
]
