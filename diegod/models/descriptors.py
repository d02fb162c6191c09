"""What several walkers over message descriptors ask about a field."""

from typing import cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def field_named(message: Message, name: str) -> FieldDescriptor | None:
    return cast(FieldDescriptor | None, message.DESCRIPTOR.fields_by_name.get(name))


def fields(message: Message) -> list[FieldDescriptor]:
    """In the order of the proto."""
    return cast(list[FieldDescriptor], list(message.DESCRIPTOR.fields))


def is_map(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return entry is not None and bool(entry.GetOptions().map_entry)
