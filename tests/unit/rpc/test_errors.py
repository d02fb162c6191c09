"""Refusals over gRPC and back: what leaves a server is what arrives at a client."""

from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from diegod.models.errors import DomainError, Problem, Reason
from diegod.rpc.errors import DETAILS_KEY, code_of, details_of, error_of

ADDRESS = "bbs-1:8889"


def failed_call(code: grpc.StatusCode, text: str, *trailing: tuple[str, bytes]) -> Any:
    """As grpc.aio raises it."""
    metadata = grpc.aio.Metadata(*trailing)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details=text)


def round_trip(error: DomainError) -> DomainError:
    call = failed_call(code_of(error), error.message, *details_of(error))
    return error_of(call, ADDRESS)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_arrives_as_itself(reason: Reason) -> None:
    sent = DomainError(
        reason,
        "what, why, what to do",
        problems=[Problem("a.b[0]", "is required"), Problem("", "the whole")],
        leader_address="bbs-2:8889",
    )
    got = round_trip(sent)
    assert (got.reason, got.message, got.leader_address) == (reason, sent.message, "bbs-2:8889")
    assert got.problems == sent.problems
    assert got.applied == ("unknown" if reason is Reason.UNKNOWN_OUTCOME else "no")


@pytest.mark.parametrize("reason", list(Reason))
def test_no_refusal_looks_like_success_or_like_a_defect(reason: Reason) -> None:
    code = code_of(DomainError(reason, ""))
    assert code not in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)


def test_details_are_those_that_other_languages_read() -> None:
    error = DomainError(Reason.INVALID_REQUEST, "no", problems=[Problem("x", "is required")])
    [(key, value)] = details_of(error)
    status = Status.FromString(value)
    info, bad = ErrorInfo(), BadRequest()
    assert key == DETAILS_KEY == "grpc-status-details-bin"
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain, info.metadata["applied"]) == (
        "InvalidRequest",
        "diegod",
        "no",
    )
    assert [(each.field, each.description) for each in bad.field_violations] == [
        ("x", "is required")
    ]


def test_a_thousand_problems_fit_into_what_headers_may_have() -> None:
    problems = [Problem(f"field[{number}]", "is not what it should be") for number in range(1000)]
    error = DomainError(Reason.INVALID_REQUEST, "é" * 100_000, problems=problems)
    [(_, value)] = details_of(error)
    assert len(value) < 8192 * 3 // 4
    got = round_trip(error)
    assert got.problems == tuple(problems[: len(got.problems)])
    assert got.reason is Reason.INVALID_REQUEST


def test_a_reason_of_a_newer_server_is_not_taken_for_a_certain_one() -> None:
    status = Status(message="new")
    status.details.add().Pack(ErrorInfo(reason="QuotaExceeded", domain="diegod"))
    call = failed_call(
        grpc.StatusCode.FAILED_PRECONDITION, "new", (DETAILS_KEY, status.SerializeToString())
    )
    assert error_of(call, ADDRESS).reason is Reason.UNKNOWN_OUTCOME


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Reason.UNKNOWN_OUTCOME),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", Reason.UNKNOWN_OUTCOME),
        (grpc.StatusCode.INTERNAL, "RST_STREAM", Reason.UNKNOWN_OUTCOME),
        (grpc.StatusCode.CANCELLED, "CANCELLED", Reason.UNKNOWN_OUTCOME),
        (grpc.StatusCode.UNKNOWN, "a defect of the server", Reason.UNKNOWN_OUTCOME),
        (
            grpc.StatusCode.UNAVAILABLE,
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
            "Failed to connect to remote host: connect: Connection refused (111)",
            Reason.UNAVAILABLE,
        ),
    ],
)
def test_what_grpc_itself_says_is_certain_only_where_nothing_was_sent(
    code: grpc.StatusCode, text: str, reason: Reason
) -> None:
    error = error_of(failed_call(code, text), ADDRESS)
    assert error.reason is reason
    assert ADDRESS in error.message


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED])
def test_what_no_handler_has_seen_was_not_carried_out(code: grpc.StatusCode) -> None:
    assert error_of(failed_call(code, "no"), ADDRESS).applied == "no"


def test_a_refused_connection_is_told_in_short() -> None:
    text = (
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
        "Failed to connect to remote host: connect: Connection refused (111)"
    )
    error = error_of(failed_call(grpc.StatusCode.UNAVAILABLE, text), ADDRESS)
    assert error.message == f"no answer from {ADDRESS} (connection refused)"
