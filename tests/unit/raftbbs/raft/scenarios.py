"""Histories that took a flaw of the raw library to its end, on our engines.

Each returns what the flaw would have broken; tests assert that it holds, and that mutants break it.
"""

from tests.unit.raftbbs.raft.lab import Lab


def acknowledge_late(table: Lab) -> int:
    """F2: an acknowledgement of term 1 arrives in term 3, at the same leader. Five members.

    Returns how many of the two writes of term 3, which two of five members have, are committed.
    """
    table.elect("A", "BCDE")
    table.settle()
    for number in range(5):
        table.step("A", b"first%d" % number)
    table.pump("A", "B")
    table.step("B")
    late = list(table.queues["B", "A"])
    for other in "BCDE":
        table.cut("A", other)
        table.cut(other, "A")
    table.elect("C", "DE")
    table.step("C", b"second")
    table.join("A")
    table.settle()
    table.elect("A", "DE")
    table.step("A")
    for other in "BCE":
        table.queues["A", other].clear()
    before = table.leadership("A").commit_index
    table.step("A", b"third")
    table.step("A", b"fourth")
    for _ in range(3):
        table.pump("A", "D")
        table.step("D")
        table.pump("D", "A")
        table.step("A")
    assert table.leadership("A").commit_index == before
    table.members["A"].inbox += [("B", frame) for frame in late]
    table.step("A")
    return table.leadership("A").commit_index - before


def part_in_campaign(table: Lab) -> float:
    """One of two members has the longer log and the lower term. Three members.

    Returns after how many seconds the two of them have a leader; 60 when they have none by then.
    """
    table.elect("A", "BC")
    table.settle()
    table.isolate("A")
    table.step("A", b"only here")
    table.expire("B")
    table.step("B")
    table.pump("B", "C")
    table.step("C")
    table.pump("C", "B")
    assert table.step("B").leadership.term == 2
    table.crash("C")
    table.join("A")
    for who in "AB":
        table[who]._library.election_deadline = table.now
    for tenth in range(600):
        table.now += 0.1
        for who in "AB":
            table.step(who)
        table.pump_all()
        if any(table.leadership(who).noop_applied for who in "AB"):
            return tenth / 10
    return 60.0


def restart_between_votes(table: Lab) -> set[str]:
    """A member votes, crashes once its vote is out, and is asked again in the same term.

    Returns who led in that term: B, C, or both. Three members.
    """
    leaders = set()
    for candidate, other in (("B", "C"), ("C", "B")):
        table.campaign(candidate)
        table.queues[candidate, other].clear()
        table.pump(candidate, "A")
        table.step("A")
        table.pump("A", candidate)
        if table.step(candidate).leadership.leads:
            leaders.add(candidate)
        assert table.leadership(candidate).term == 1
        table.isolate(candidate)
        table.crash("A")
        table.start("A")
    return leaders


def lose_power_after_answer(table: Lab) -> list[bytes]:
    """A write is acknowledged, then all members lose power and come back.

    Returns what the members have then. Three members.
    """
    table.elect("A", "BC")
    table.settle()
    table.step("A", b"acknowledged")
    for _ in range(3):
        table.pump_all()
        for who in "BCA":
            table.step(who)
    assert [answer.result for answer in table.answers.values()] == [b"acknowledged"]
    table.crash(*"ABC")
    table.start(*"ABC")
    table.elect("B", "AC")
    table.settle()
    return table.applied("B")
