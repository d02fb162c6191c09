"""What convergence does about one process and its instances
(Diego: bbs/controllers/lrp_convergence_controller.go).

The BBS keeps one ORDINARY row an index. Beside it there may be a SUSPECT one: an instance whose
cell is missing, which stays routable until its replacement runs.
"""

from itertools import groupby

from diegod.internal.v1.command_pb2 import (
    CreateInstance,
    RetireInstance,
    SuspectInstance,
    UnclaimInstance,
    UnsuspectInstance,
    WithdrawInstance,
)
from diegod.models.restart import RestartAt, RestartNow, restart
from diegod.scheduler.core.decision import Action, process_key
from diegod.scheduler.core.placements import not_taken_up
from diegod.scheduler.core.repairs import Deadline, Sheet
from diegod.scheduler.core.snapshot import seconds
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp

Step = tuple[Action, str]


def repair_process(sheet: Sheet, process_guid: str) -> None:
    desired = sheet.snapshot.desired.get(process_guid)
    rows = sheet.snapshot.instances_of(process_guid)
    if desired is None:
        for row in rows:
            _end_as_asked(sheet, row, "its LRP is not desired any more")
        return
    by_index = {index: list(group) for index, group in groupby(rows, lambda row: row.index)}
    for index in range(desired.instances):
        _IndexRepair(sheet, desired, index, by_index.get(index, [])).run()
    for row in rows:
        if row.index >= desired.instances:
            _end_as_asked(sheet, row, f"only {desired.instances} instances are desired")
    replace_one_of_an_older_definition(sheet, desired, rows)


def replace_one_of_an_older_definition(
    sheet: Sheet, desired: DesiredLrp, rows: list[ActualLrp]
) -> None:
    """A rolling update, one at a time: an old instance stops only while all others run.

    The gap it leaves is filled like any other. What does not run yet was replaced before (see
    `_IndexRepair`), since it serves nobody; so a definition that can't start stops here, and a
    better one still gets through.
    """
    ordinary = [r for r in rows if r.index < desired.instances and r.presence == ActualLrp.ORDINARY]
    if len(ordinary) < desired.instances or not all(_serves(sheet, row) for row in ordinary):
        return
    old = [row for row in ordinary if _is_of_older_definition(row, desired)]
    if old:
        # The last index first: index 0 is what every LRP has, and often its first among equals.
        _end(sheet, old[-1], "its definition has been replaced, and all other instances run")


class _IndexRepair:
    """One index of a process. The first rule that applies is the only one."""

    def __init__(
        self, sheet: Sheet, desired: DesiredLrp, index: int, rows: list[ActualLrp]
    ) -> None:
        self.sheet = sheet
        self.desired = desired
        self.index = index
        self.key = process_key(desired.process_guid)
        self.ordinary = next((r for r in rows if r.presence == ActualLrp.ORDINARY), None)
        self.suspects = [r for r in rows if r.presence == ActualLrp.SUSPECT]

    def run(self) -> None:
        row = self.ordinary
        if row is not None and _serves(self.sheet, row):
            self._end_suspects("its replacement runs")
        elif returned := self._returned_suspect():
            self._reinstate(returned)
        elif row is None:
            self._create()
        elif _is_lost(self.sheet, row):
            self._replace_lost(row)
        elif _is_of_older_definition(row, self.desired):
            self._replace_old(row)
        elif row.state == ActualLrp.UNCLAIMED:
            self._withdraw_if_not_taken_up(row)
        elif row.state == ActualLrp.CRASHED:
            self._restart_if_due(row)

    def _returned_suspect(self) -> ActualLrp | None:
        for row in self.suspects:
            if not row.stopping and self.sheet.snapshot.is_present(row.cell_id):
                return row
        return None

    def _reinstate(self, suspect: ActualLrp) -> None:
        """Its cell is back and nothing has taken its place: it is the ordinary one again.

        The BBS allows that once no other ordinary row is left; a replacement that is being
        started has to be stopped by its cell first.
        """
        back = (
            UnsuspectInstance(
                instance_guid=suspect.instance_guid, row_revision=suspect.provenance.revision
            ),
            f"cell {suspect.cell_id} is back",
        )
        if self.ordinary is None:
            self.sheet.decide(self.key, *back)
        elif _goes_at_once(self.sheet, self.ordinary):
            end = _retirement(self.ordinary, f"not needed: cell {suspect.cell_id} is back")
            self.sheet.decide_unless_held(self.key, [end, back])
        else:
            _end(self.sheet, self.ordinary, f"not needed: cell {suspect.cell_id} is back")

    def _end_suspects(self, reason: str) -> None:
        for row in self.suspects:
            _end(self.sheet, row, reason)

    def _create(self) -> None:
        if self.suspects:
            self.sheet.decide_unless_held(self.key, [self._creation("its cell is missing")])
        else:
            self.sheet.decide(self.key, *self._creation("it is desired and there is none"))

    def _replace_lost(self, row: ActualLrp) -> None:
        """It becomes SUSPECT, unless it was to stop or only replaced one that is suspect itself."""
        lost = f"cell {row.cell_id} is missing"
        if row.stopping or self.suspects:
            first = _retirement(row, lost)
        else:
            guid, revision = row.instance_guid, row.provenance.revision
            first = SuspectInstance(instance_guid=guid, row_revision=revision), lost
        self.sheet.decide_unless_held(self.key, [first, self._creation(lost)])

    def _replace_old(self, row: ActualLrp) -> None:
        reason = "its definition was replaced before it ran"
        if _goes_at_once(self.sheet, row):
            steps = [_retirement(row, reason), self._creation(reason)]
            self.sheet.decide_unless_held(self.key, steps)
        elif row.state == ActualLrp.CLAIMED:
            _end(self.sheet, row, reason)

    def _withdraw_if_not_taken_up(self, row: ActualLrp) -> None:
        if row.placed_cell_id and (why := not_taken_up(self.sheet, self.key, row)):
            action = WithdrawInstance(
                instance_guid=row.instance_guid, row_revision=row.provenance.revision
            )
            self.sheet.decide(self.key, action, why)

    def _restart_if_due(self, row: ActualLrp) -> None:
        policy, crashed_at = self.desired.crash_policy, seconds(row.since)
        match restart(policy, row.crash_count, crashed_at, self.sheet.now):
            case RestartNow():
                action = UnclaimInstance(
                    instance_guid=row.instance_guid, row_revision=row.provenance.revision
                )
                self.sheet.decide(self.key, action, f"restart after crash {row.crash_count}")
            case RestartAt(at):
                self.sheet.deadlines.append(Deadline(at, self.key))

    def _creation(self, reason: str) -> Step:
        action = CreateInstance(
            process_guid=self.desired.process_guid,
            index=self.index,
            desired_revision=self.desired.provenance.revision,
        )
        return action, f"{self.desired.process_guid}/{self.index}: {reason}"


def _end(sheet: Sheet, row: ActualLrp, reason: str) -> None:
    """Unless its cell has been asked already."""
    if not row.stopping or _goes_at_once(sheet, row):
        sheet.decide_unless_held(process_key(row.process_guid), [_retirement(row, reason)])


def _end_as_asked(sheet: Sheet, row: ActualLrp, reason: str) -> None:
    """A person asked for it, so even a mass loss holds it back only for what is on lost cells."""
    if _is_lost(sheet, row):
        _end(sheet, row, reason)
    elif not row.stopping:
        sheet.decide(process_key(row.process_guid), *_retirement(row, reason))


def _retirement(row: ActualLrp, reason: str) -> Step:
    action = RetireInstance(instance_guid=row.instance_guid, row_revision=row.provenance.revision)
    return action, reason


def _is_of_older_definition(row: ActualLrp, desired: DesiredLrp) -> bool:
    return row.definition_revision < desired.definition_revision


def _is_on_cell(row: ActualLrp) -> bool:
    return row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING)


def _is_lost(sheet: Sheet, row: ActualLrp) -> bool:
    return _is_on_cell(row) and not sheet.snapshot.is_present(row.cell_id)


def _goes_at_once(sheet: Sheet, row: ActualLrp) -> bool:
    """Whether retiring it removes the row; otherwise its cell is asked to stop it first."""
    return not _is_on_cell(row) or _is_lost(sheet, row)


def _serves(sheet: Sheet, row: ActualLrp) -> bool:
    running = row.state == ActualLrp.RUNNING
    return running and not row.stopping and not _is_lost(sheet, row)
