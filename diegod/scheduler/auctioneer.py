"""When the auction is held, and for what: new work at once, refused work when there may be room.

Does not belong here: the auction itself (`core.auction`), and talking to the BBS (`brain`).
"""

from collections.abc import Iterator

from diegod.scheduler.core.auction import Plan, Refusal, Rules, holding
from diegod.scheduler.core.batch import Lot, gathering
from diegod.scheduler.core.breaks import Steps
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.decision import Decision
from diegod.scheduler.core.dependencies import WAITS
from diegod.scheduler.core.in_flight import InFlight
from diegod.scheduler.core.snapshot import Snapshot

#: So many lots at once; the brain has a lease to renew in between.
_LOTS_MAX = 500


class Auctioneer:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def choosing(
        self,
        snapshot: Snapshot,
        in_flight: InFlight,
        now: float,
        *,
        retry_refused: bool,
        hold_replacements: bool,
    ) -> Steps[list[Lot]]:
        """What to put up now: what was never refused or waits no more, what is to be told that it
        waits, and the rest when there may be room."""
        busy = in_flight.rows()
        lots = yield from gathering(snapshot, now, busy, hold_replacements=hold_replacements)
        return [lot for lot in lots if retry_refused or _has_its_turn(lot)]

    def slices(self, lots: list[Lot]) -> Iterator[list[Lot]]:
        return (lots[at : at + _LOTS_MAX] for at in range(0, len(lots), _LOTS_MAX))

    def holding(
        self, snapshot: Snapshot, in_flight: InFlight, lots: list[Lot]
    ) -> Steps[Plan]:
        """On the cells as they are with all that is on its way to them."""
        cells = CellTable.of(snapshot)
        yield
        yield from in_flight.booking_into(cells)
        return (yield from holding(lots, cells, self._rules))


def _has_its_turn(lot: Lot) -> bool:
    if lot.waits_for:
        return Refusal(lot, lot.waits_for).is_news_in_kind
    return not lot.placement_error or lot.placement_error.startswith(WAITS)


def refusals_to_write(plan: Plan, *, with_figures: bool) -> list[Decision]:
    """Figures alone are written only now and then: they change with every placement anywhere."""
    return [
        refusal.decision()
        for refusal in plan.refusals
        if (refusal.is_news if with_figures else refusal.is_news_in_kind)
    ]
