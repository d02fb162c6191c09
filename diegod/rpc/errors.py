"""Refusals as gRPC statuses and back: one table, both directions.

The details are google.rpc.Status (ErrorInfo with Diego's reason, BadRequest with every problem),
so that clients in any language can read them. `applied` says whether a write took place.
"""

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from diegod.models.errors import DomainError, Problem, Reason

DETAILS_KEY = "grpc-status-details-bin"
ERROR_DOMAIN = "diegod"
#: HTTP/2 headers may have 8 KiB, details grow by a third in them, and text by up to three times.
_DETAILS_BYTES_MAX = 4096
_TEXT_BYTES_MAX = 768
_MESSAGE_BYTES_MAX = 2048

_CODES: dict[Reason, grpc.StatusCode] = {
    Reason.INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.RESOURCE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.RESOURCE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.RESOURCE_CONFLICT: grpc.StatusCode.ABORTED,
    Reason.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.NOT_LEADER: grpc.StatusCode.UNAVAILABLE,
    Reason.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.UNKNOWN_OUTCOME: grpc.StatusCode.UNKNOWN,
    Reason.COMPACTED: grpc.StatusCode.OUT_OF_RANGE,
    Reason.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

#: Statuses that gRPC itself answers with before a handler could have seen the request.
_NOT_CARRIED_OUT = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
)
#: How gRPC says that a request, not a reply, was larger than allowed.
_REQUEST_TOO_LARGE = ("SERVER: Received message larger", "CLIENT: Sent message larger")


def code_of(error: DomainError) -> grpc.StatusCode:
    """Every reason not in the table is a state that does not allow it."""
    return _CODES.get(error.reason, grpc.StatusCode.FAILED_PRECONDITION)


def details_of(error: DomainError) -> tuple[tuple[str, bytes]]:
    """The trailing metadata of a refusal. Problems are left out where they would not fit."""
    message = _cut(error.message, _MESSAGE_BYTES_MAX)
    status = Status(code=code_of(error).value[0], message=message)
    info = ErrorInfo(reason=error.reason.value, domain=ERROR_DOMAIN)
    info.metadata["applied"] = error.applied
    if error.leader_address:
        info.metadata["leader"] = error.leader_address
    _pack(status, info)
    violations = BadRequest()
    for problem in error.problems:
        violations.field_violations.add(field=problem.path, description=problem.message)
        if status.ByteSize() + violations.ByteSize() > _DETAILS_BYTES_MAX:
            del violations.field_violations[-1]
            break
    if violations.field_violations:
        _pack(status, violations)
    return ((DETAILS_KEY, status.SerializeToString()),)


def text_of(error: DomainError) -> str:
    """What a client sees that does not read details."""
    return _cut(error.message, _TEXT_BYTES_MAX)


def error_of(call: grpc.aio.AioRpcError, address: str) -> DomainError:
    """What a failed call means to its caller."""
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _decoded(Status.FromString(value))
    return _without_details(call, address)


def _pack(status: Status, detail: ErrorInfo | BadRequest) -> None:
    packed = Any()
    packed.Pack(detail)
    status.details.append(packed)


def _decoded(status: Status) -> DomainError:
    info, violations = ErrorInfo(), BadRequest()
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(BadRequest.DESCRIPTOR):
            detail.Unpack(violations)
    problems: Sequence[Problem] = [
        Problem(v.field, v.description) for v in violations.field_violations
    ]
    return DomainError(
        _reason(info.reason),
        status.message,
        problems=problems,
        leader_address=info.metadata.get("leader", ""),
    )


def _reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:  # a newer server: what it did is not known here
        return Reason.UNKNOWN_OUTCOME


def _without_details(call: grpc.aio.AioRpcError, address: str) -> DomainError:
    """gRPC's own failures. Nothing is certain, but for a connection that never came about."""
    code, text = call.code(), call.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DomainError(Reason.UNKNOWN_OUTCOME, f"{address} did not answer in time")
    if code in _NOT_CARRIED_OUT or text.startswith(_REQUEST_TOO_LARGE):
        return DomainError(Reason.PERMISSION_DENIED, f"{address}: {text}")
    if code is grpc.StatusCode.UNAVAILABLE and _never_connected(text):
        return DomainError(Reason.UNAVAILABLE, f"no answer from {address} ({_shortened(text)})")
    return DomainError(Reason.UNKNOWN_OUTCOME, f"lost {address} in the middle of a call ({text})")


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _never_connected(text: str) -> bool:
    return "failed to connect to all addresses" in text or "Connection refused" in text


def _shortened(text: str) -> str:
    """gRPC's nested explanation, reduced to its last and most exact part."""
    return "connection refused" if "Connection refused" in text else text.rpartition("; ")[2]
