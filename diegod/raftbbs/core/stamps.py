"""Replicated time as a protobuf timestamp and back; whole nanoseconds, no floats."""

from google.protobuf.timestamp_pb2 import Timestamp

NS = 1_000_000_000


def stamp(at_ns: int) -> Timestamp:
    return Timestamp(seconds=at_ns // NS, nanos=at_ns % NS)


def nanoseconds(at: Timestamp) -> int:
    return at.seconds * NS + at.nanos
