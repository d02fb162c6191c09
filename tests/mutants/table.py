"""All mutants, by name."""

from tests.mutants.at_rest import AT_REST
from tests.mutants.comparing import COMPARING
from tests.mutants.copies import COPIES
from tests.mutants.durability import DURABILITY
from tests.mutants.elections import ELECTIONS
from tests.mutants.epochs import EPOCHS
from tests.mutants.guards import GUARDS
from tests.mutants.leases import LEASES
from tests.mutants.lives import LIVES
from tests.mutants.members import MEMBERS
from tests.mutants.messages import MESSAGES
from tests.mutants.mutant import Mutant
from tests.mutants.speakers import SPEAKERS
from tests.mutants.state import STATE


def _by_name(*tables: tuple[Mutant, ...]) -> dict[str, Mutant]:
    found: dict[str, Mutant] = {}
    for table in tables:
        for mutant in table:
            if mutant.name in found:
                raise ValueError(f"two mutants are called {mutant.name}")
            found[mutant.name] = mutant
    return found


MUTANTS = _by_name(
    *(DURABILITY, MESSAGES, ELECTIONS, MEMBERS, STATE, COMPARING, COPIES, AT_REST, EPOCHS),
    *(LEASES, GUARDS, SPEAKERS, LIVES),
)
