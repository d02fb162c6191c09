"""Protobuf packages that are not for clients."""
