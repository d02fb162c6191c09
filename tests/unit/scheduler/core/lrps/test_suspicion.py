"""Lost cells: every row of Diego's tables of suspect cells.

i1 is on cell-1, which is lost; i2 replaces it.
"""

from tests.unit.scheduler.core.worlds import World, a_world


class TestALostCell:
    def lost(self) -> World:
        world = a_world(cells=2, instances=1)
        world.people.lose("cell-1")
        return world

    def test_i1_becomes_suspect_and_i2_is_made(self) -> None:
        world = self.lost()
        assert world.converge() == ["SuspectInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]
        assert world.suspect("web", 0).routable
        assert world.converge() == []

    def test_once_i2_runs_i1_is_removed(self) -> None:
        world = self.lost()
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-2"]

    def test_while_i2_is_only_claimed_i1_stays(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        assert world.converge() == []
        assert world.states("web") == ["0 CLAIMED cell-2", "0 RUNNING cell-1 SUSPECT"]

    def test_cell_1_is_back_before_i2_was_placed(self) -> None:
        world = self.lost()
        world.converge()
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web", "UnsuspectInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1"]
        assert world.converge() == []

    def test_cell_1_is_back_while_i2_is_claimed(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web"]
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["UnsuspectInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1"]

    def test_cell_1_is_back_after_i2_ran(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.obey()
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web"]
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-2"]

    def test_i2_starts_although_it_was_to_stop_and_i1_stays_all_the_same(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell("cell-1")
        world.converge()
        world.people.run(world.instance("web", 0))
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["UnsuspectInstance web"]

    def test_i1_is_not_called_back_once_it_was_told_to_stop(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.obey()
        world.people.cell("cell-1")
        world.converge()
        world.people.crash(world.instance("web", 0))
        assert world.converge() == ["UnclaimInstance web"]

    def test_i2_can_not_be_placed_and_both_stay(self) -> None:
        world = a_world(cells=1, instances=1)
        world.people.lose("cell-1")
        world.settle()
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]

    def test_i2_crashes_and_i1_stays(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.crash(world.instance("web", 0))
        assert world.converge() == ["UnclaimInstance web"]
        assert world.states("web")[1:] == ["0 RUNNING cell-1 SUSPECT"]

    def test_i2s_cell_is_lost_too_and_i1_stays_suspect(self) -> None:
        world = a_world(cells=6, instances=1)
        world.people.lose("cell-1")
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.lose(world.instance("web", 0).cell_id)
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]
        assert world.converge() == []

    def test_the_lrp_is_removed_while_i1_is_suspect(self) -> None:
        world = self.lost()
        world.converge()
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"] * 2 + ["ForgetLrp web"]
        assert world.states("web") == []

    def test_an_instance_that_was_to_stop_is_not_made_suspect(self) -> None:
        world = a_world(cells=2, instances=2)
        world.people.scale("web", 1)
        world.converge()
        world.people.scale("web", 2)
        world.people.lose("cell-2")
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]

    def test_i1_crashes_when_its_cell_is_back_and_i2_does_not_run_yet(self) -> None:
        world = self.lost()
        world.converge()
        world.people.cell("cell-1")
        world.people.crash(world.suspect("web", 0))
        assert world.states("web") == ["0 UNCLAIMED"]
        assert world.converge() == []

    def test_a_suspect_is_never_ended_before_its_replacement_runs(self) -> None:
        """Not while it is waited for, placed, claimed or crashed."""
        world = self.lost()
        world.converge()
        world.auction()
        assert world.converge() == []
        world.people.claim(world.instance("web", 0))
        assert world.converge() == []
        world.people.crash(world.instance("web", 0))
        assert world.converge() == ["UnclaimInstance web"]
        assert not world.suspect("web", 0).stopping

    def test_a_replacement_on_a_cell_that_is_lost_meanwhile_does_not_end_it(self) -> None:
        world = a_world(cells=4, instances=1)
        world.people.lose("cell-1")
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.run(world.instance("web", 0))
        world.people.lose(world.instance("web", 0).cell_id)
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]
        assert world.suspect("web", 0).cell_id == "cell-1"


class TestALossThatIsKnown:
    def test_removed_its_instance_is_replaced_without_being_suspect(self) -> None:
        world = a_world(cells=2, instances=1)
        world.people.lose("cell-1")
        world.people.cell_is("REMOVE", "cell-1")
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED"]

    def test_removed_later_the_suspect_goes_though_nothing_runs_in_its_place(self) -> None:
        world = a_world(cells=2, instances=1)
        world.people.lose("cell-1")
        world.converge()
        world.people.cell_is("REMOVE", "cell-1")
        assert world.converge() == ["RetireInstance web"]
        assert world.states("web") == ["0 UNCLAIMED"]

    def test_no_mass_loss_holds_up_what_is_on_a_cell_that_was_given_up(self) -> None:
        world = a_world(cells=4, instances=4)
        world.people.lose("cell-1", "cell-2", "cell-3", "cell-4")
        assert world.converge() == []
        world.people.cell_is("ACCEPT_LOSS", "cell-1")
        assert world.converge() == ["SuspectInstance web", "CreateInstance web"]
        assert world.repairs().mass_loss is not None

    def test_losses_that_are_accepted_are_no_mass_loss(self) -> None:
        world = a_world(cells=4, instances=4)
        world.people.lose("cell-1", "cell-2", "cell-3")
        assert world.repairs().mass_loss is not None
        for number in (1, 2):
            world.people.cell_is("ACCEPT_LOSS", f"cell-{number}")
        assert world.repairs().mass_loss is None
