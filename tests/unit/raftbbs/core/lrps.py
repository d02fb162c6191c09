"""An LRP on a board, brought where a test wants it: what people, brains and cells say of it."""

from typing import Any

from diegod.internal.v1 import command_pb2 as c
from diegod.v1.lrp_pb2 import ControlLrpRequest
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, LrpVersion, NetInfo
from tests.unit.raftbbs.core.board import Board, an_lrp

Verb = ControlLrpRequest.Verb


class Web:
    """The LRP web, by user/ann, brain/b1, and whichever cell an instance is on."""

    def __init__(self, board: Board) -> None:
        self.board = board

    # What is there.

    def row(self) -> DesiredLrp:
        row = self.board.state().desired_lrp("web")
        assert row is not None
        return row

    def is_gone(self) -> bool:
        return self.board.state().desired_lrp("web") is None

    def versions(self) -> list[LrpVersion]:
        return list(self.board.state().lrp_versions("web"))

    def outcomes(self) -> list[str]:
        return [LrpVersion.Outcome.Name(each.outcome) for each in self.versions()]

    def definition(self, revision: int = 0) -> bytes | None:
        state = self.board.state()
        return state.lrp_definition("web", revision or self.row().definition_revision)

    def instances(self, index: int = 0) -> dict[str, ActualLrp]:
        """By presence; a test has at most one of each, but for those that are being stopped."""
        rows = self.board.state().instances_at("web", index)
        return {ActualLrp.Presence.Name(row.presence): row for row in rows}

    def seen(self, index: int = 0) -> dict[str, str]:
        """The state of each, by presence."""
        rows = self.instances(index).items()
        return {name: ActualLrp.State.Name(row.state) for name, row in rows}

    # What is said. Each is a refusal's reason, or "".

    def desire(self, definition: bytes, instances: int = 2, **fields: Any) -> str:
        lrp = an_lrp(instances=instances)
        lrp.MergeFrom(DesiredLrp(**fields))
        command = c.DesireLrp(desired_lrp=lrp, definition=definition)
        return self.board.say("user/ann", desire_lrp=command).reason

    def control(self, verb: Verb.ValueType, to_version: int = 0) -> c.Outcome:
        command = c.ControlLrp(process_guid="web", verb=verb, to_version=to_version)
        return self.board.say("user/ann", control_lrp=command)

    def scale(self, instances: int) -> str:
        command = c.ScaleLrp(process_guid="web", instances=instances)
        return self.board.say("user/ann", scale_lrp=command).reason

    def remove(self) -> str:
        return self.board.say("user/ann", remove_lrp=c.RemoveLrp(process_guid="web")).reason

    def retire_index(self, index: int = 0) -> str:
        command = c.RetireIndex(process_guid="web", index=index)
        return self.board.say("user/ann", retire_index=command).reason

    def brain(self, kind: str, **fields: Any) -> str:
        """A command about the LRP itself, on the version of it that is there."""
        name = c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name
        revision = self.row().provenance.revision
        body = getattr(c, name)(process_guid="web", row_revision=revision, **fields)
        return self.board.say("brain/b1", **{kind: body}).reason

    def repair(self, kind: str, row: ActualLrp) -> str:
        name = c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name
        body = getattr(c, name)(
            instance_guid=row.instance_guid, row_revision=row.provenance.revision
        )
        return self.board.say("brain/b1", **{kind: body}).reason

    def create(self, index: int = 0, cell_id: str = "") -> ActualLrp:
        revision = self.row().provenance.revision
        create = c.CreateInstance(
            process_guid="web", index=index, desired_revision=revision, cell_id=cell_id
        )
        outcome = self.board.say("brain/b1", create_instance=create)
        assert not outcome.reason, outcome.message
        return outcome.actual_lrp

    def place(self, row: ActualLrp, cell_id: str) -> str:
        cell = self.board.state().cell(cell_id)
        assert cell is not None
        place = c.PlaceInstance(
            instance_guid=row.instance_guid,
            row_revision=row.provenance.revision,
            cell_id=cell_id,
            cell_incarnation=cell.incarnation,
        )
        return self.board.say("brain/b1", place_instance=place).reason

    def cell(self, kind: str, row: ActualLrp, cell_id: str = "", **fields: Any) -> str:
        """What the cell that an instance is on says of it."""
        cell_id = cell_id or row.cell_id or row.placed_cell_id
        name = c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name
        body = getattr(c, name)(instance_guid=row.instance_guid, **fields)
        cell = self.board.state().cell(cell_id)
        incarnation = cell.incarnation if cell is not None else 1
        return self.board.say(f"cell/{cell_id}", incarnation=incarnation, **{kind: body}).reason

    def claimed(self, cell_id: str, index: int = 0) -> ActualLrp:
        row = self.create(index)
        assert not self.place(row, cell_id)
        assert not self.cell("claim_instance", row, cell_id)
        return self.again(row)

    def running(self, cell_id: str, index: int = 0) -> ActualLrp:
        row = self.claimed(cell_id, index)
        assert not self.start(row)
        return self.again(row)

    def start(self, row: ActualLrp) -> str:
        return self.cell(
            "start_instance", row, net_info=NetInfo(address="10.0.0.1"), routable=True
        )

    def again(self, row: ActualLrp) -> ActualLrp:
        """As it is now."""
        found = self.board.state().actual_lrp(row.instance_guid)
        assert found is not None
        return found

    def is_there(self, row: ActualLrp) -> bool:
        return self.board.state().actual_lrp(row.instance_guid) is not None

    def lose(self, cell_id: str) -> None:
        cell = self.board.state().cell(cell_id)
        assert cell is not None
        expire = c.ExpireCell(cell_id=cell_id, incarnation=cell.incarnation)
        assert not self.board.say("bbs/m1", expire_cell=expire).reason

    def suspect(self, cell_id: str = "c1", index: int = 0) -> ActualLrp:
        """An instance whose cell is missing."""
        row = self.running(cell_id, index)
        self.lose(cell_id)
        assert not self.repair("suspect_instance", row)
        return self.again(row)
