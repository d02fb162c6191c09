"""Changes of members, one after the other, and what a member may do before it knows of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello, VoteReply
from diegod.raftbbs.raft.api import AnswerStatus, Limits, Role
from diegod.raftbbs.raft.elections import Elections
from tests.unit.raftbbs.raft.lab import Lab, lab

ON_ITS_WAY = "another change of members is on its way, or this member has just begun to lead"


def _led(table: Lab, who: str = "A", voters: str = "BC") -> None:
    table.elect(who, voters)
    table.settle()


def _add_learner(table: Lab, who: str, voters: str, store_id: str = "") -> None:
    """A adds a learner with an empty store."""
    store_id = store_id or f"store-{who}"
    table.change("A", voters, who, **{who: store_id})
    table.settle()
    table.bear(who, by="A", store_id=store_id)
    table.settle()


# One at a time.


def test_a_second_change_is_refused_while_one_is_on_its_way() -> None:
    """F5: the raw library takes four, and believes in a cluster without a common majority."""
    with lab() as table:
        _led(table)
        table.isolate("A")
        assert table.change("A", "ABC", "D") is None
        for voters in ("AC", "AB", "AD"):
            answer = table.change("A", voters)
            assert answer is not None
            assert (answer.status, answer.detail) == (AnswerStatus.REFUSED, ON_ITS_WAY)
        assert table.voters("A") == "ABC"
        table.join("A")
        table.settle()
        assert table.change("A", "AB", "D") is None


def test_a_new_leader_changes_nothing_before_its_first_entry_is_applied() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.isolate("A")
        answer = table.change("A", "AB")
        assert answer is not None
        assert answer.detail == ON_ITS_WAY
        table.join("A")
        table.settle()
        assert table.change("A", "AB") is None


def test_who_does_not_lead_changes_nothing() -> None:
    with lab() as table:
        _led(table)
        answer = table.change("B", "AB")
        assert answer is not None
        assert answer.status is AnswerStatus.NOT_LEADER


@pytest.mark.parametrize("learners", [{}, {"C": "another"}], ids=["removed", "replaced"])
def test_an_alarm_goes_with_the_member_that_it_is_about(learners: dict[str, str]) -> None:
    with lab() as table:
        _led(table)
        foreign = RaftHello(cluster_id="cluster", member_id="C", store_id="lost", store_format=2)
        table.members["A"].inbox.append(("C", RaftFrame(hello=foreign)))
        table.step("A")
        (alarm,) = table.leadership("A").alarms
        assert alarm.startswith("C is refused: its store is 'lost'")
        table.crash("C")
        assert table.change("A", "AB", "".join(learners), **learners) is None
        table.settle()
        assert table.leadership("A").alarms == ()
        table.members["A"].inbox.append(("C", RaftFrame(hello=foreign)))
        assert len(table.step("A").refused) == 1
        assert len(table.leadership("A").alarms) == len(learners)


def test_a_change_takes_effect_when_it_is_applied() -> None:
    with lab() as table:
        _led(table)
        table.change("A", "AB")
        assert table.voters("A") == "ABC"
        table.settle()
        assert [table.voters(who) for who in "AB"] == ["AB", "AB"]
        table.crash(*"AB")
        table.start(*"AB")
        assert [table.voters(who) for who in "AB"] == ["AB", "AB"]


# Who may campaign.


def _two_steps_apart(table: Lab) -> None:
    """A removes C, then B, with B's help, and is alone; B knows the first change to be committed,
    and C, that heard of nothing, would vote for it."""
    _led(table)
    table.isolate("C")
    table.step("A", *(b"%d" % number for number in range(40)))
    table.change("A", "AB")
    _exchange(table)
    _apply_all(table, "A")
    assert table.voters("A") == "AB"
    table.change("A", "A")
    _exchange(table)
    _apply_all(table, "A")
    assert table.voters("A") == "A"
    assert table.leadership("B").log_last == table.leadership("A").log_last
    assert table.voters("B") == "ABC"
    table.isolate("A")
    table.link("B", "C")
    table.link("C", "B")
    _campaign(table, "B", "C")


def _exchange(table: Lab) -> None:
    """One step of B, and back."""
    table.pump("A", "B")
    table.step("B")
    table.pump("B", "A")
    table.step("A")


def _apply_all(table: Lab, who: str) -> None:
    while table.leadership(who).applied_index < table.leadership(who).commit_index:
        table.step(who)


def _campaign(table: Lab, who: str, voter: str) -> None:
    """One attempt, with the answers of one voter, long after anybody heard a leader."""
    table.expire(who)
    for _ in range(4):
        table.step(who)
        table.pump(who, voter)
        table.step(voter)
        table.pump(voter, who)
    table.freeze()


SLOW = Limits(apply_entries=2)


def test_who_is_two_changes_behind_does_not_campaign() -> None:
    with lab(limits=SLOW) as table:
        _two_steps_apart(table)
        assert table.leadership("B").role is Role.FOLLOWER
        assert table.leadership("A").leads
        _apply_all(table, "B")
        assert table.voters("B") in ("AB", "A")
        _campaign(table, "B", "C")
        assert not table.leadership("B").leads


def test_without_that_rule_two_would_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the test above can fail."""
    monkeypatch.setattr(Elections, "_may_campaign", lambda elections: True)
    with lab(limits=SLOW) as table:
        _two_steps_apart(table)
        assert table.leadership("B").leads
        assert table.leadership("A").leads


def test_a_change_that_nobody_committed_stops_no_election() -> None:
    """A majority has it in the log when all lose power: one of them must be able to lead."""
    with lab() as table:
        _led(table)
        table.change("A", "AB")
        table.pump("A", "B")
        table.step("B")
        table.crash(*"ABC")
        table.start(*"ABC")
        assert table.voters("B") == "ABC"
        table.elect("B", "AC")
        table.settle("AB")
        assert table.voters("B") == "AB"


# Learners.


def test_a_learner_gets_everything_and_is_not_counted() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.step("A", b"for all")
        table.settle()
        assert table.applied("C")[-1] == b"for all"
        table.isolate("B")
        before = table.leadership("A").commit_index
        table.step("A", b"of one")
        table.settle("AC", rounds=3)
        assert table.leadership("A").matches["C"] == table.leadership("A").log_last
        assert table.leadership("A").commit_index == before
        assert not table["A"]._peers.is_majority({"C"})


def test_a_leader_with_none_but_learners_steps_down() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.isolate("B")
        assert table.leadership("A").leads
        table.settle("AC", rounds=12)
        assert not table.leadership("A").leads


def test_a_round_that_learners_echo_is_not_confirmed() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.isolate("B")
        table["A"].request_confirmation(7)
        table.settle("AC", rounds=3)
        assert 7 not in table.confirmations


def test_a_learner_reads_what_the_leader_has() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.step("A", b"written")
        table.step("C", reads=1)
        table.settle()
        [read] = table.reads.values()
        assert read.ok
        assert table.applied("C")[-1] == b"written"


def test_a_learner_does_not_campaign() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        for _ in range(20):
            table.expire("C")
            assert table.step("C").leadership.role is Role.FOLLOWER
            assert table["C"].next_deadline() > table.now + 0.4
        assert "pre_vote_request" not in table.kinds("C", "A")
        assert table.leadership("C").term == 1


def test_the_vote_of_a_learner_is_not_counted() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.isolate("B")
        table.crash("A")
        table.start("A")
        for _ in range(3):
            _campaign(table, "A", "C")
        assert not table.leadership("A").leads
        assert table.leadership("A").term == 1


def test_who_does_not_know_yet_that_it_votes_is_no_obstacle() -> None:
    """The only voter made it one, and lost power before it could say so."""
    with lab("AB", born="A") as table:
        table.elect("A", "")
        table.settle()
        _add_learner(table, "B", "A")
        table.change("A", "AB", B="store-B")
        table.settle("A")
        assert (table.voters("A"), table.voters("B")) == ("AB", "A")
        table.crash("A")
        table.start("A")
        table.elect("A", "B")
        table.settle()
        assert table.voters("B") == "AB"


def test_a_learner_is_ready_when_it_has_caught_up() -> None:
    with lab("ABC", born="AB", limits=Limits(learner_lag_entries=3)) as table:
        _led(table, voters="B")
        table.change("A", "AB", "C", C="store-C")
        table.settle()
        assert table.leadership("A").ready_learners == ()
        table.bear("C", by="A")
        table.settle()
        assert table.leadership("A").ready_learners == ("C",)
        assert table.leadership("B").ready_learners == ()
        table.step("A", *(b"%d" % number for number in range(4)))
        assert table.leadership("A").ready_learners == ()
        table.settle()
        assert table.leadership("A").ready_learners == ("C",)
        table.isolate("C")
        table.step("A")
        assert table.leadership("A").ready_learners == ()


def test_a_learner_is_made_a_voter_and_then_counts() -> None:
    with lab("ABC", born="AB") as table:
        _led(table, voters="B")
        _add_learner(table, "C", "AB")
        table.change("A", "ABC", C="store-C")
        table.settle()
        assert [table.voters(who) for who in "ABC"] == ["ABC"] * 3
        table.isolate("B")
        table.step("A", b"of two")
        table.settle("AC")
        assert table.applied("A")[-1] == table.applied("C")[-1] == b"of two"
        table.crash("A")
        table.join("B")
        table.elect("C", "B")


# Another disk.


def _replace_disk_of_b(table: Lab) -> None:
    """B's disk is lost; A and C go by a record that knows it as a learner with a new store."""
    _led(table)
    table.lose_disk("B")
    table.change("A", "AC", "B", B="new")
    table.settle("AC")
    assert table.voters("A") == table.voters("C") == "AC"


def test_the_old_disk_of_a_replaced_voter_does_not_vote() -> None:
    with lab() as table:
        _replace_disk_of_b(table)
        (table.folder / "B-old").rename(table.folder / "B")
        table.crash("A")
        table.start("B")
        for _ in range(4):
            _campaign(table, "C", "B")
            _campaign(table, "B", "C")
        assert not table.leadership("C").leads
        assert not table.leadership("B").leads
        known = "its store is 'store-B', we know it with 'new': it must not vote"
        assert known in {refusal.reason for _, refusal in table.refused}


def test_the_new_disk_of_a_replaced_voter_votes_when_it_was_made_a_voter() -> None:
    with lab() as table:
        _replace_disk_of_b(table)
        table.bear("B", by="A", store_id="new")
        table.settle()
        assert table.applied("B") == table.applied("A")
        table.change("A", "ABC", B="new")
        table.settle()
        table.crash("A")
        table.elect("C", "B")


def test_what_the_old_disk_acknowledged_is_not_counted_for_the_new_one() -> None:
    with lab() as table:
        _led(table)
        table.step("A", b"acknowledged by the old disk")
        table.settle()
        assert table.leadership("A").matches["B"] == table.leadership("A").log_last
        table.lose_disk("B")
        table.change("A", "AC", "B", B="new")
        table.settle("AC")
        assert table.leadership("A").matches["B"] == 0
        assert table.leadership("A").ready_learners == ()


@contextmanager
def _new_disk_unknown_to_e() -> Iterator[Lab]:
    """B has a new disk and votes with it; E was away, and goes by the first record."""
    with lab("ABCDE") as table:
        _led(table, voters="BCDE")
        table.isolate("E")
        table.lose_disk("B")
        table.change("A", "ACDE", "B", B="new")
        table.settle("ACD")
        table.bear("B", by="A", store_id="new")
        table.isolate("E")
        table.settle("ABCD")
        table.change("A", "ABCDE", B="new")
        table.settle("ABCD")
        assert table["B"].members.revision > table["E"].members.revision == 0
        yield table


def test_who_has_not_heard_of_a_new_disk_does_not_count_its_votes() -> None:
    with _new_disk_unknown_to_e() as table:
        table.crash("A")
        table.join("E")
        table.queues["B", "E"].clear()
        table["B"]._library.resign()
        table.campaign("E")
        term = table.leadership("E").term
        for voter in "BC":
            vote = RaftFrame(vote_reply=VoteReply(term=term))
            table.members["E"].inbox += [(voter, vote), (voter, vote)]
        assert table.step("E").leadership.role is Role.CANDIDATE
        assert not [each for _, each in table.refused if "vote_reply" in each.reason]


def test_who_has_not_heard_of_a_new_disk_follows_and_elects_it() -> None:
    with _new_disk_unknown_to_e() as table:
        table.crash("A")
        table.crash("D")
        table.join("E")
        for source, target in (("B", "E"), ("E", "B")):
            table.pump(source, target)
        table.step("E")
        table.elect("B", "CE")
        table.settle()
        assert table["E"].members == table["B"].members
        assert table.applied("E") == table.applied("B")


# Removed members.


def test_a_removed_member_does_not_disturb() -> None:
    with lab() as table:
        _led(table)
        table.cut("A", "C")
        table.change("A", "AB")
        table.settle()
        assert table.voters("A") == table.voters("B") == "AB"
        table.join("C")
        for _ in range(10):
            table["C"]._library.election_deadline = table.now
            table.step("C")
            table.settle(rounds=1)
        assert table.leadership("A").leads
        assert table.leadership("A").term == table.leadership("B").term == 1
        reasons = {(who, refusal.reason) for who, refusal in table.refused}
        assert ("A", "it is not a member of this cluster (any more)") in reasons
        assert ("B", "it is not a member of this cluster (any more)") in reasons


def test_a_leader_that_finds_itself_removed_stops_and_lets_the_others_go_on() -> None:
    """It was elected with the change in its log. The other needs its vote, and gets it."""
    with lab("AB") as table:
        _led(table, voters="B")
        table.change("A", "A")
        table.pump("A", "B")
        table.step("B")
        table.crash(*"AB")
        table.start(*"AB")
        table.elect("B", "A")
        while table.leadership("B").leads:
            table.pump("B", "A")
            table.step("A")
            table.pump("A", "B")
            table.step("B")
        table.queues["B", "A"].clear()
        assert (table.voters("A"), table.voters("B")) == ("AB", "A")
        table.elect("A", "B")
        table.settle()
        assert table.voters("A") == "A"
        assert table.leadership("A").leads


def test_a_member_follows_a_leader_that_it_has_not_heard_of() -> None:
    """D became a member while C was away; then it is the only one that can lead."""
    with lab("ABCD", born="ABC") as table:
        _led(table)
        table.isolate("C")
        table.change("A", "ABC", "D", D="store-D")
        table.settle("AB")
        table.bear("D", by="A")
        table.isolate("C")
        table.settle("ABD")
        table.change("A", "ABCD", D="store-D")
        table.settle("ABD")
        table.isolate("B")
        table.step("A", b"only with D")
        table.settle("AD", rounds=2)
        table.crash("A")
        table.join("B")
        table.join("C")
        assert (table.voters("B"), table.voters("C")) == ("ABCD", "ABC")
        table.elect("D", "BC")
        table.settle()
        assert table.voters("C") == "ABCD"
        assert table.applied("C") == table.applied("D")


# Transfer.


def test_the_leadership_is_given_to_a_voter_though_all_hear_their_leader() -> None:
    with lab() as table:
        _led(table)
        table.step("A", b"before")
        table["A"].request_transfer(1, "B")
        for _ in range(8):
            table.now += 0.01
            for who in "ABC":
                table.step(who)
            table.pump_all()
        assert table.leadership("B").leads
        assert table.leadership("B").term == 2
        [answer] = table.transfers
        assert (answer.id, answer.ok) == (1, True)
        table.settle()
        assert all(b"before" in table.applied(who) for who in "ABC")


def test_without_a_name_the_furthest_voter_gets_it() -> None:
    with lab() as table:
        _led(table)
        table.cut("A", "B")
        table.step("A", b"B lacks it")
        table.settle("AC", rounds=2)
        table.link("A", "B")
        table["A"].request_transfer(1, "")
        assert table.step("A").leadership.transfers_to == "C"


def test_while_the_leadership_is_given_away_nothing_is_taken() -> None:
    with lab() as table:
        _led(table)
        table.cut("B", "A")
        table["A"].request_transfer(1, "B")
        result = table.step("A", b"too late")
        assert result.answers[0].status is AnswerStatus.REFUSED
        assert result.answers[0].detail == "the leadership is being given to B"
        table.change("A", "AB")
        assert table.voters("A") == "ABC"


def test_a_transfer_that_comes_to_nothing_ends_and_the_leader_goes_on() -> None:
    with lab() as table:
        _led(table)
        table.cut("B", "A")
        table["A"].request_transfer(1, "B")
        table.step("A", b"B never acknowledges it")
        table.settle("AC", rounds=12)
        [answer] = table.transfers
        assert not answer.ok
        assert answer.detail == "B did not take the leadership over: this member leads on"
        table.step("A", b"after")
        table.settle("AC")
        assert table.applied("A")[-1] == b"after"
        assert table.leadership("A").term == 1


def test_who_lacks_an_entry_is_not_called_upon() -> None:
    with lab() as table:
        _led(table)
        table.cut("B", "A")
        table.step("A", b"B has not acknowledged it")
        table["A"].request_transfer(1, "B")
        table.step("A")
        table.step("A", seconds=0.1)
        assert table.leadership("A").transfers_to == "B"
        assert "timeout_now" not in table.kinds("A", "B")
        table.pump("A", "B")
        table.link("B", "A")
        for _ in range(4):
            table.step("B", seconds=0.05)
            table.pump("B", "A")
            table.step("A", seconds=0.05)
            if "timeout_now" in table.kinds("A", "B"):
                break
            table.pump("A", "B")
        assert "timeout_now" in table.kinds("A", "B")


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("D", "D is no other voter of this cluster"),
        ("A", "A is no other voter of this cluster"),
        ("C", "C is not connected"),
    ],
)
def test_whom_the_leadership_is_not_given_to(to: str, why: str) -> None:
    with lab("ABCD", born="ABC") as table:
        _led(table)
        _add_learner(table, "D", "ABC")
        table.isolate("C")
        table["A"].request_transfer(1, to)
        table.step("A")
        [answer] = table.transfers
        assert (answer.ok, answer.detail) == (False, why)


def test_nothing_is_given_away_while_members_change_nor_by_who_has_it_not() -> None:
    with lab() as table:
        _led(table)
        table.isolate("A")
        table.change("A", "AB")
        table["A"].request_transfer(1, "B")
        table["B"].request_transfer(2, "C")
        table.step("A")
        table.step("B")
        assert [(each.id, each.ok, each.detail) for each in table.transfers] == [
            (1, False, ON_ITS_WAY),
            (2, False, "this member does not lead"),
        ]


def test_who_is_called_upon_campaigns_only_in_that_term() -> None:
    with lab() as table:
        _led(table)
        table["A"].request_transfer(1, "B")
        table.step("A")
        late = list(table.queues["A", "B"])
        table.cut("A", "B")
        table.elect("C", "B")
        table.members["B"].inbox += [("A", frame) for frame in late]
        table.settle("BC", rounds=3)
        assert table.leadership("C").leads
        assert table.leadership("B").role is Role.FOLLOWER
        assert table.leadership("B").term == 2
