"""All mutants, by name."""

from tests.mutants.guards import GUARDS
from tests.mutants.mutant import Mutant


def _by_name(*tables: tuple[Mutant, ...]) -> dict[str, Mutant]:
    found: dict[str, Mutant] = {}
    for table in tables:
        for mutant in table:
            if mutant.name in found:
                raise ValueError(f"two mutants are called {mutant.name}")
            found[mutant.name] = mutant
    return found


MUTANTS = _by_name(GUARDS)
