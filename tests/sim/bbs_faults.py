"""What goes wrong for the members of a simulated bulletin board, and for those who use it.

The strikes are those of `nemesis`, in quicker succession, with three more: clogs that begin and end
one after another, disks that fill up, and leaders that are hit whenever there is one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.bbs_member import BbsMember
from tests.sim.nemesis import Nemesis, Weather

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs

KINDS = (
    "messages delayed",
    "one-way stall",
    "partition, one member alone",
    "partition, majority and minority",
    "swizzled clog",
    "connections reset",
    "member crash",
    "member crash, open tick lost",
    "member crash, tick unsent",
    "leader crash",
    "all members crash",
    "member paused",
    "client paused",
    "member ended by a full disk",
    "wall clock jump",
)

WEATHER = Weather(
    {
        "delay": 2,
        "stall": 5,
        "isolate": 3,
        "split": 3,
        "swizzle": 2,
        "reset": 5,
        "crash member": 2,
        "crash before commit": 4,
        "crash after commit": 3,
        "crash leader": 3,
        "crash all members": 1,
        "pause member": 3,
        "pause client": 2,
        "fill disk": 4,
        "jump clock": 1,
    },
    pause_s=(0.1, 1.3),
)


class BbsNemesis(Nemesis):
    cut_s = (0.3, 1.0, 2.0, 4.0)
    delay_s = (0.5, 2.5)
    stall_s = (0.1, 3.0)
    pause_s = (0.1, 2.0)
    long_pause_s = (2.5, 4.0)

    def __init__(self, bbs: "Bbs") -> None:
        super().__init__(bbs)
        self._bbs = bbs
        self._strikes["swizzle"] = self._swizzle
        self._strikes["fill disk"] = self._fill_disk
        self._strikes["pause client"] = self._pause_client

    def _swizzle(self) -> None:
        """Clog some machines one after another, and free them in another order."""
        names = self._bbs.machine_names()
        some = self._chance.sample(names, self._chance.randint(2, max(2, len(names) // 2)))
        freed = self._chance.sample(some, len(some))
        for number, name in enumerate(some):
            pairs = [pair for other in names for pair in ((name, other), (other, name))]
            pairs = [pair for pair in pairs if pair[0] != pair[1]]
            begin_s = number * self._chance.uniform(0.1, 0.4)
            end_s = 1.5 + freed.index(name) * self._chance.uniform(0.1, 0.6)
            self._later(begin_s, self._clog(pairs, end_s - begin_s))

    def _clog(self, pairs: list[tuple[str, str]], seconds: float) -> Callable[[], None]:
        round_ = self._bbs.round

        def begin() -> None:
            if round_ == self._bbs.round:
                self._cut("swizzled clog", pairs, seconds)

        return begin

    def _fill_disk(self) -> None:
        member = self._member()
        assert isinstance(member, BbsMember)
        if member.is_up and member.fill_disk():
            self._bbs.note(f"the disk of {member.name} is full")

    def _pause_client(self) -> None:
        """Longer than its lease may last: what it does next, it does with what it had before."""
        name = self._chance.choice(sorted(self._bbs.clients))
        process = self._bbs.clients[name]
        if process.is_paused:
            return
        self._count("client paused", took_place=True)
        process.pause()
        self._later(self._chance.uniform(0.5, 5.0), process.resume)
