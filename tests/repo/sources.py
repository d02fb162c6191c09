"""What a module's source says, for more than one test: its imports."""

import ast
from collections.abc import Iterator


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of each absolute import, also of those inside functions."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
