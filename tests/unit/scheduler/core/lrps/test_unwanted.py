"""What nobody wants: of an LRP that is stopped, removed or not there, or beyond its number."""

import pytest

from diegod.scheduler.core.convergence import converge
from diegod.scheduler.core.snapshot import DOMAIN, PROCESS, Key, Snapshot
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Domain, Rollout
from tests.unit.scheduler.core.worlds import World, a_world

NOW = 1_000_000
#: of the instance, and of the last time that a number of instances was asked for
ADOPTED, ASKED_BEFORE, ASKED_AFTER = 50, 40, 60


class TestStopped:
    def test_all_instances_go_and_none_is_made(self) -> None:
        world = a_world(instances=2)
        world.people.control("web", "STOP")
        assert world.converge() == ["RetireInstance web"] * 2
        world.settle()
        assert world.states("web") == []
        assert world.repairs().decisions == ()

    def test_started_again_it_has_its_instances_again(self) -> None:
        world = a_world(instances=2)
        world.people.control("web", "STOP")
        world.settle()
        world.people.control("web", "START")
        world.settle()
        assert [state[:9] for state in world.states("web")] == ["0 RUNNING", "1 RUNNING"]

    def test_stopped_in_the_middle_of_an_update_nothing_is_said_of_the_update(self) -> None:
        world = a_world(instances=2)
        world.people.lrp("web", 2, definition="v2")
        world.converge()
        world.people.control("web", "STOP")
        world.settle()
        assert world.states("web") == []
        world.wait(3600)
        assert world.converge() == []
        assert world.rollout("web") == "ROLLING"
        world.people.control("web", "START")
        world.settle()
        assert world.rollout("web") == "DONE"


class TestRemoved:
    def test_the_row_goes_with_the_last_instance(self) -> None:
        world = a_world(instances=2)
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"] * 2
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["ForgetLrp web"]
        assert world.board.desired_lrp("web") is None

    def test_in_one_pass_where_no_cell_has_to_be_asked(self) -> None:
        world = World()
        world.people.lrp("web", 2)
        world.converge()
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"] * 2 + ["ForgetLrp web"]

    def test_a_mass_loss_holds_it_up_only_for_what_is_on_lost_cells(self) -> None:
        world = a_world(cells=3, instances=3)
        world.people.lose("cell-1", "cell-2")
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"]
        world.people.obey()
        assert world.converge() == []
        assert len(world.states("web")) == 2


def a_snapshot(
    desired: DesiredLrp | None, domain: str, row: Domain | None, adopted: int = 0
) -> Snapshot:
    """Instances 0 and 1 of "web", as found in a domain of that name."""
    rows: list[Change] = [
        Change(verb=Change.CREATED, cell=Cell(cell_id="cell-1", state=Cell.PRESENT))
    ]
    if desired is not None:
        rows.append(Change(verb=Change.CREATED, desired_lrp=desired))
    if row is not None:
        rows.append(Change(verb=Change.CREATED, domain=row))
    for index in range(2):
        instance = ActualLrp(
            process_guid="web",
            index=index,
            domain=domain,
            instance_guid=f"i{index}",
            state=ActualLrp.RUNNING,
            cell_id="cell-1",
            routable=True,
            adopted_revision=adopted,
        )
        rows.append(Change(verb=Change.CREATED, actual_lrp=instance))
    snapshot = Snapshot()
    snapshot.apply_changes(rows)
    return snapshot


def ended(snapshot: Snapshot, now: float = NOW) -> list[str]:
    decisions = converge(snapshot, [Key(PROCESS, "web")], now).decisions
    assert all(each.about.action == "RetireInstance" for each in decisions)
    return [each.about.guid for each in decisions]


def a_domain(ttl_s: int = 0, until: int = 0) -> Domain:
    domain = Domain(domain="shop", ttl_s=ttl_s)
    domain.fresh_until.seconds = until
    return domain


class TestFreshness:
    """Diego: bbs/docs/050-domains.md."""

    @pytest.mark.parametrize(
        ("name", "row", "is_fresh"),
        [
            ("default", None, True),
            ("shop", None, False),
            ("shop", a_domain(), True),
            ("shop", a_domain(ttl_s=10, until=NOW + 1), True),
            ("shop", a_domain(ttl_s=10, until=NOW), False),
        ],
    )
    def test_what_no_lrp_wants_goes_while_its_domain_is_fresh(
        self, name: str, row: Domain | None, is_fresh: bool
    ) -> None:
        assert ended(a_snapshot(None, name, row)) == (["i0", "i1"] if is_fresh else [])

    @pytest.mark.parametrize(
        ("adopted", "scaled", "row", "goes"),
        [
            (0, ASKED_BEFORE, None, True),
            (ADOPTED, ASKED_AFTER, None, True),  # a person saw it, and asked for fewer
            (ADOPTED, ASKED_BEFORE, None, False),  # the number is of an older state than it is
            (ADOPTED, ASKED_BEFORE, a_domain(), True),
        ],
    )
    @pytest.mark.parametrize("asked", [{"instances": 1}, {"stopped": True}, {"removing": True}])
    def test_what_is_too_much(
        self, adopted: int, scaled: int, row: Domain | None, goes: bool, asked: dict[str, object]
    ) -> None:
        desired = DesiredLrp(
            process_guid="web", domain="shop", scaled_revision=scaled, **({"instances": 2} | asked)
        )
        desired.rollout.state = Rollout.DONE
        superfluous = ["i1"] if "instances" in asked else ["i0", "i1"]
        found = ended(a_snapshot(desired, "shop", row, adopted))
        assert found == (superfluous if goes else [])

    def test_a_domain_brings_up_what_waits_for_it_and_nothing_else(self) -> None:
        snapshot = a_snapshot(None, "shop", None)
        desired = DesiredLrp(process_guid="other", domain="shop", instances=1)
        other = ActualLrp(process_guid="other", domain="shop", instance_guid="o")
        more = [
            Change(verb=Change.CREATED, desired_lrp=desired),
            Change(verb=Change.CREATED, actual_lrp=other),
        ]
        snapshot.apply_changes(more)
        touched = snapshot.apply_changes([Change(verb=Change.CHANGED, domain=a_domain())])
        assert touched.keys == (Key(DOMAIN, "shop"),)
        repairs = converge(snapshot, touched.keys, NOW)
        assert repairs.reviewed == (Key(PROCESS, "web"),)
        assert len(repairs.decisions) == 2
