"""M4, M5, M11: what passes between members."""

from dataclasses import replace
from typing import Any

from diegod.internal.v1.raft_pb2 import AppendReply
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.append import Retry, Take
from diegod.security.identity import Principal
from tests.mutants.mutant import BBS, RAFT, STORMS, Mutant
from tests.mutants.surgery import around, nothing, value

_RECONCILE = "raftbbs.raft.append:reconcile"
_TAKES = "raft/test_append.py::test_a_follower_takes_what_is_proven"
_KEEPS = "raft/test_append.py::test_a_resent_range_removes_nothing"
_REFUSED = "raft/test_frames.py::test_what_no_member_sends_is_refused"


def _taking(change: Any) -> Any:
    """What is taken, changed; what is not taken, as it is."""

    def reconcile(original: Any, log: Any, commit_index: int, message: Any) -> Any:
        verdict = original(log, commit_index, message)
        return change(verdict, log, message) if isinstance(verdict, Take) else verdict

    return reconcile


def _uncapped(verdict: Take, log: Any, message: Any) -> Take:
    return replace(verdict, commit_index=message.commit_index)


def _unstripped(verdict: Take, log: Any, message: Any) -> Take:
    return replace(
        verdict,
        previous_index=message.previous_index,
        previous_term=message.previous_term,
        entries=message.entries,
    )


def _tail_dropped(verdict: Take, log: Any, message: Any) -> Take:
    if verdict.entries or not log.first_index <= verdict.match <= log.last_index:
        return verdict
    term = log.term_at(verdict.match)
    return replace(verdict, previous_index=verdict.match, previous_term=term)


def _all_matches(verdict: Take, log: Any, message: Any) -> Take:
    return replace(verdict, match=max(verdict.match, log.last_index))


def _conflict_passed_over(original: Any, log: Any, commit_index: int, message: Any) -> Any:
    try:
        return original(log, commit_index, message)
    except Fatal:
        return Retry(log.last_index + 1)


def _back_one_by_one(original: Any, log: Any, index: int, commit_index: int) -> int:
    return index


def _with_previous(check: Any, message: Any) -> None:
    message.has_previous = True
    message.previous_index = max(1, message.previous_index)
    check(message)


def _of_this_term(take: Any, gate: Any, peer: str, reply: AppendReply, now: float) -> None:
    own = AppendReply()
    own.CopyFrom(reply)
    own.term = gate.library.term
    take(gate, peer, own, now)


def _within_the_log(take: Any, gate: Any, peer: str, reply: AppendReply, now: float) -> None:
    own = AppendReply()
    own.CopyFrom(reply)
    own.next_index = min(own.next_index, gate._journal.last_index + 1)
    take(gate, peer, own, now)


def _of_every_round(echoed: Any, confirmations: Any, peer: str, round_: int) -> None:
    echoed(confirmations, peer, 1 << 40)


def _anybody(receive: Any, gate: Any, peer: str, frame: Any, now: float) -> None:
    """A stranger counts as one of the voters."""
    known = sorted(gate._flows)
    receive(gate, peer if peer in known else known[0], frame, now)


def _beside_the_first(connected: Any, links: Any, peer: str, wire: Any = None) -> Any:
    links._wires.pop(peer, None)
    return connected(links, peer, wire)


def _into_any_connection(send: Any, member: Any, result: Any) -> None:
    for peer, frame in result.frames:
        member.send(peer, frame)


def _self_declared(submit: Any, service: Any, request: Any, caller: Principal) -> Any:
    """Whom a command names is believed."""
    speaker = request.commands[0].by if request.commands else ""
    role, _, name = speaker.partition("/")
    if name:
        caller = Principal(caller.cluster, type(caller.role)(role), name)
    return submit(service, request, caller)


MESSAGES = (
    Mutant(
        "commit-cap",
        "M4",
        "a follower commits as far as the leader has, also what it has not compared (F1)",
        around(_RECONCILE, _taking(_uncapped)),
        (_TAKES,),
        RAFT,
    ),
    Mutant(
        "prefix-stripping",
        "M4",
        "a follower cuts its log behind each append, also where it agrees (F3)",
        around(_RECONCILE, _taking(_unstripped)),
        (_TAKES, _KEEPS),
        replace(BBS, must=True),
    ),
    Mutant(
        "tail-dropped",
        "M4",
        "what follows behind a resent range is cut off though it agrees (F3)",
        around(_RECONCILE, _taking(_tail_dropped)),
        (_TAKES, _KEEPS),
        RAFT,
    ),
    Mutant(
        "acknowledges-what-was-not-compared",
        "M4",
        "a follower acknowledges its own end of the log (F3, F6)",
        around(_RECONCILE, _taking(_all_matches)),
        (_TAKES, _KEEPS),
        RAFT,
    ),
    Mutant(
        "conflict-with-what-is-committed",
        "M4",
        "a leader that contradicts what is committed is asked to try again",
        around(_RECONCILE, _conflict_passed_over),
        ("raft/test_append.py::test_a_conflict_with_what_is_committed_ends_the_member",),
    ),
    Mutant(
        "back-one-entry-a-heartbeat",
        "M4",
        "conflicting logs take a heartbeat for each entry (F12d)",
        around("raftbbs.raft.append:_start_of_term", _back_one_by_one),
        ("raft/test_append.py::test_a_conflict_is_walked_back_one_term_a_heartbeat",),
    ),
    Mutant(
        "append-without-previous",
        "M4",
        "what begins a snapshot of the library gets in (F1, F14)",
        around("raftbbs.raft.frames:_check_append", _with_previous),
        (f"{_REFUSED}[RaftFrame-snapshots are not taken0]",),
    ),
    Mutant(
        "append-not-checked",
        "M4",
        "gaps, terms out of order and giants reach the library",
        around("raftbbs.raft.frames:_check_append", nothing),
        (_REFUSED,),
    ),
    Mutant(
        "commands-of-any-type",
        "M4",
        "other commands than ours get into the log, changes of members among them (F4c, F5)",
        around("raftbbs.raft.frames:_check_command", nothing),
        (_REFUSED,),
    ),
    Mutant(
        "commands-of-any-size",
        "M4",
        "a command larger than the library can send whole gets into the log (F12c)",
        value(
            "raftbbs.raft.frames:COMMAND_BYTES_MAX", 1 << 40, "raftbbs.raft.frames:_check_command"
        ),
        (f"{_REFUSED}[RaftFrame-a command of 1048578 bytes]",),
    ),
    Mutant(
        "frames-of-any-size",
        "M11",
        "a peer makes us hold as much as it likes (F15e)",
        value("raftbbs.raft.frames:FRAME_BYTES_MAX", 1 << 40, "raftbbs.raft.frames:_check_append"),
        (f"{_REFUSED}[RaftFrame-an append of 8388616 bytes]",),
    ),
    Mutant(
        "numbers-out-of-range",
        "M4",
        "a number that overflows the store's 64 bits gets in",
        around("raftbbs.raft.frames:_check_numbers", nothing),
        (_REFUSED,),
    ),
    Mutant(
        "term-check-on-acks",
        "M5",
        "an acknowledgement of an earlier term counts for the entries of this one (F2)",
        around("raftbbs.raft.gate:Gate._on_append_reply", _of_this_term),
        ("raft/test_gate.py::test_an_acknowledgement_of_an_earlier_term_does_not_count",),
        RAFT,
    ),
    Mutant(
        "ack-beyond-the-log",
        "M5",
        "an acknowledgement of entries that were never sent is taken for as many as there are",
        around("raftbbs.raft.gate:Gate._on_append_reply", _within_the_log),
        (
            "raft/test_gate.py::test_an_acknowledgement_beyond_the_log_ends_the_leader",
            "raft/test_gate.py::test_a_reply_that_no_follower_sends_is_refused",
        ),
    ),
    Mutant(
        "round-echo",
        "M5",
        "any reply proves leadership, also one to a round before the read",
        around("raftbbs.raft.confirmations:Confirmations.echoed", _of_every_round),
        ("raft/test_confirmations.py::test_an_echo_of_an_earlier_round_answers_no_read",),
        RAFT,
    ),
    Mutant(
        "copy-counts-as-acknowledged",
        "M10",
        "whoever is offered a copy counts as having all of it, and what is behind it (F1, F6)",
        around("raftbbs.raft.gate:Gate._leave_behind", lambda *arguments: _believe(*arguments)),
        ("raft/test_far_behind.py::test_it_counts_for_nothing_until_it_acknowledges",),
        replace(STORMS, seeds=40, must=True),
    ),
    Mutant(
        "anybody-is-a-voter",
        "M6",
        "frames of a member that is none are taken (F9)",
        around("raftbbs.raft.gate:Gate.receive", _anybody),
        ("raft/test_gate.py::test_a_stranger_is_refused",),
    ),
    Mutant(
        "queue-without-bounds",
        "M11",
        "a peer that does not read takes all the memory there is (F15e)",
        around("raftbbs.links:_Wire.put", lambda put, wire, frame: put(wire, frame) or True),
        ("test_links.py::test_a_peer_that_does_not_read_loses_its_connection_and_no_memory",),
    ),
    Mutant(
        "two-connections-of-a-peer",
        "M11",
        "an older connection of a peer goes on beside the new one (F15b)",
        around("raftbbs.links:Links._connected", _beside_the_first),
        ("test_links.py::test_a_second_connection_of_a_peer_ends_the_first",),
    ),
    Mutant(
        "frames-into-the-next-connection",
        "M11",
        "what was meant for a connection that has ended is the first word on the next",
        around("raftbbs.member:Member._send", _into_any_connection),
        ("test_member.py::test_frames_go_only_into_the_connections_that_the_tick_knew",),
    ),
    Mutant(
        "self-declared-speaker",
        "M11",
        "a command counts as of whom it names, not of whom the certificate names",
        around("raftbbs.edge.ring:RingService.submit", _self_declared),
        ("edge/test_ring.py::test_who_speaks_is_whom_the_certificate_names",),
    ),
)


def _believe(leave: Any, gate: Any, peer: str, reply: AppendReply, now: float) -> None:
    leave(gate, peer, reply, now)
    end = gate._journal.last_index + 1
    everything = {"type": "next_node_idx", "next_node_idx": end, "reset": False, "success": True}
    gate.library.deliver(peer, everything)
