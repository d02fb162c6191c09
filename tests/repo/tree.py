"""The files of the repository, as its tests look at them. An unpacked sdist will do too."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Made by tools, never committed; the same as .gitignore names.
_MADE = {"__pycache__", "build", "dist", "node_modules"}
_TEXT = {
    ".py",
    ".pyi",
    ".md",
    ".toml",
    ".lock",
    ".sh",
    ".proto",
    ".txt",
    ".cfg",
    ".yaml",
    ".json",
    "",
}


def all_files() -> Iterator[Path]:
    for folder, children, names in os.walk(ROOT):
        children[:] = sorted(name for name in children if _is_committed(name))
        yield from (Path(folder, name) for name in sorted(names))


def _is_committed(folder: str) -> bool:
    if folder.startswith("."):
        return folder == ".ci"
    return folder not in _MADE and not folder.endswith(".egg-info")


def text_files() -> list[Path]:
    return [path for path in all_files() if path.suffix in _TEXT]


def product_modules() -> list[Path]:
    """The Python of the distributions: diegod/ and plugins/*/diegod_*/, without generated code."""
    return [path for path in _python() if _is_product(path) and not path.stem.endswith("_pb2")]


def our_modules() -> list[Path]:
    """All Python that people wrote here: the product's, the tests', the tools'."""
    return [path for path in _python() if not path.stem.endswith("_pb2")]


def pages() -> list[Path]:
    return [path for path in all_files() if path.suffix == ".md"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _python() -> Iterator[Path]:
    return (path for path in all_files() if path.suffix == ".py")


def _is_product(path: Path) -> bool:
    return re.match(r"(plugins/\w+/diegod_\w+|diegod)/", name_of(path)) is not None
