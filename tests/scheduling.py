"""Which worker runs a test: what needs the machine for itself goes to one worker, in order.

By path, because the process that hands out tests knows nothing else of them. (xdist's own
`loadgroup` does not work with pytest 9.2: it sets an attribute that is no longer read.)
"""

from xdist.scheduler import LoadScopeScheduling

MACHINE = "machine"
#: Beginnings of the paths of tests that start clusters, containers or networks.
MACHINE_PATHS = (
    "tests/cluster/",
    "tests/chaos/",
    "tests/repo/test_docs.py",
    "plugins/runc/tests/",
)


def needs_the_machine(nodeid: str) -> bool:
    return nodeid.startswith(MACHINE_PATHS)


class MachineScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """One scope for all that needs the machine; everything else goes wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        return MACHINE if needs_the_machine(nodeid) else nodeid
