"""What lies on disk: envelopes, encryption, what a start looks at. M14: how much is taken on."""

from dataclasses import replace
from itertools import count
from typing import Any

from diegod.raftbbs.core.load_limits import short_of_disk
from diegod.raftbbs.store.environment import KEYS_TABLE
from diegod.raftbbs.store.key_registry import finished, write_registry
from diegod.security import at_rest
from tests.mutants.mutant import Mutant
from tests.mutants.surgery import all_of, around, says

_ENVELOPE = "store/test_envelope.py::"
_REGISTRY = "store/test_key_registry.py::"
_AT_REST = "tests/unit/security/test_at_rest.py::"
_LOAD = "core/test_load_limits.py::"
_SHORT = "test_member.py::test_a_member_short_of_disk_takes_no_new_work_but_lets_work_end"
_PLAIN = "raftbbs.store.envelope:PlainEnvelope"
_PLAIN_HEADER_BYTES = 6


def _anywhere(close_or_open: Any, envelope: Any, place: bytes, value: bytes) -> Any:
    return close_or_open(envelope, b"", value)


def _unchecked(unwrap: Any, envelope: Any, place: bytes, stored: bytes) -> bytes:
    return stored[_PLAIN_HEADER_BYTES:]


def _one_salt(make: Any, sealer: Any, key: Any) -> None:
    """Each opening of a store closes its values with one and the same data key."""
    make(sealer, key)
    sealer._salt = bytes(at_rest.SALT_BYTES)
    sealer._cipher = at_rest._cipher(key, sealer._salt)


def _one_number(seal: Any, sealer: Any, place: bytes, payload: bytes) -> bytes:
    sealer._numbers = count(1)
    return bytes(seal(sealer, place, payload))


def _also_plain(unwrap: Any, envelope: Any, place: bytes, stored: bytes) -> bytes:
    envelope._opens_plain = True
    return bytes(unwrap(envelope, place, stored))


def _with_what_is_at_hand(envelope: Any, registry: Any, keyring: Any, active: int) -> Any:
    rows = {
        label: row for label, row in registry.rows.items() if not label or row.name in keyring.keys
    }
    return envelope(replace(registry, rows=rows), keyring, active if active in rows else 0)


def _of_that_name(problem: Any, row: Any, key: Any) -> str:
    return "" if key is not None else str(problem(row, key))


def _over_after_a_slice(go_on: Any, rekeying: Any, transaction: Any, now: float) -> None:
    """The old keys leave the table though values are still under them."""
    go_on(rekeying, transaction, now)
    if rekeying._walk is not None and not rekeying._ending:
        rekeying._ending = True
        left = finished(rekeying._registry, rekeying._walk.target)
        write_registry(transaction, rekeying._environment.table(KEYS_TABLE), left)


def _only_the_active(progress: Any, rekeying: Any) -> Any:
    made = progress(rekeying)
    return replace(made, key_names=(made.active_key,) if made.active_key else ())


def _also_of_deletes(refusal: Any, commands: Any, load: Any, limits: Any) -> str:
    said: str = refusal(commands, load, limits)
    return said or ("there is no room" if short_of_disk(load, limits) else "")


def _no_backlog(refusal: Any, commands: Any, load: Any, limits: Any) -> str:
    return str(refusal(commands, replace(load, backlog_entries=0), limits))


AT_REST = (
    Mutant(
        "checksum-not-compared",
        "store",
        "a damaged value is taken for right",
        around(f"{_PLAIN}.unwrap", _unchecked),
        (f"{_ENVELOPE}test_every_flipped_bit_is_found",),
    ),
    Mutant(
        "checksum-leaves-out-the-place",
        "store",
        "a value that turns up under another key is taken for that key's",
        all_of(around(f"{_PLAIN}.wrap", _anywhere), around(f"{_PLAIN}.unwrap", _anywhere)),
        (f"{_ENVELOPE}test_a_value_belongs_to_its_place",),
    ),
    Mutant(
        "older-row-in-its-place",
        "store",
        "an earlier version of a row is taken for the latest",
        around("raftbbs.store.freshness:outdated_row", says("")),
        (
            "store/test_freshness.py::test_an_older_version_of_a_row_is_found",
            "store/test_freshness.py::test_a_row_that_is_gone_is_missed",
        ),
    ),
    Mutant(
        "associated-data-leaves-out-the-place",
        "encryption",
        "an encrypted value that is moved opens elsewhere",
        all_of(
            around("security.at_rest:Sealer.seal", _anywhere),
            around("security.at_rest:Opener.open", _anywhere),
        ),
        (
            f"{_AT_REST}test_it_opens_with_its_own_key_and_place_only",
            f"{_REGISTRY}test_a_value_at_another_place_is_refused",
        ),
    ),
    Mutant(
        "nonces-repeat-at-each-opening",
        "encryption",
        "two values are encrypted with the same key and nonce: both can be read",
        around("security.at_rest:Sealer.__init__", _one_salt),
        (f"{_REGISTRY}test_no_nonce_comes_twice_under_a_key",),
    ),
    Mutant(
        "nonces-not-counted",
        "encryption",
        "all values of an opening are encrypted with the same key and nonce",
        around("security.at_rest:Sealer.seal", _one_number),
        (f"{_REGISTRY}test_no_nonce_comes_twice_under_a_key",),
    ),
    Mutant(
        "plain-among-encrypted",
        "encryption",
        "whoever can write the file forges values without the key",
        around("raftbbs.store.sealed:SealedEnvelope.unwrap", _also_plain),
        (f"{_REGISTRY}test_a_plain_value_among_encrypted_ones_is_refused",),
    ),
    Mutant(
        "missing-key-not-asked-for",
        "encryption",
        "a member starts, and ends at the first row that it can't read",
        all_of(
            around("raftbbs.store.key_registry:_refuse_missing", says(None)),
            around("raftbbs.store.key_registry:_envelope", _with_what_is_at_hand),
        ),
        (f"{_REGISTRY}test_a_store_whose_key_is_not_at_hand_is_refused",),
    ),
    Mutant(
        "key-known-by-its-name-alone",
        "encryption",
        "a key with the right name and the wrong content is taken up",
        around("raftbbs.store.key_registry:_problem", _of_that_name),
        (f"{_REGISTRY}test_a_store_whose_key_is_not_at_hand_is_refused",),
    ),
    Mutant(
        "key-dropped-while-in-use",
        "encryption",
        "the walk to another key ends with values that are still under the old one",
        around("raftbbs.store.rekeying:Rekeying.go_on", _over_after_a_slice),
        ("store/test_rekeying.py::test_a_slice_does_no_more_than_it_may",),
    ),
    Mutant(
        "key-said-to-be-free-too-early",
        "encryption",
        "an operator takes a key away that values still need",
        around("raftbbs.store.rekeying:Rekeying._progress", _only_the_active),
        ("store/test_rekeying.py::test_it_turns_round_half_way",),
    ),
    Mutant(
        "free-disk-not-looked-at",
        "M14",
        "new work fills the disk until the member ends",
        around("raftbbs.core.load_limits:_no_disk", says("")),
        (f"{_LOAD}test_each_kind_of_command_when_new_work_is_refused", _SHORT),
    ),
    Mutant(
        "deletes-refused-too",
        "M14",
        "a disk that is full stays full, since nothing can be deleted",
        around("raftbbs.core.load_limits:refusal", _also_of_deletes),
        (f"{_LOAD}test_each_kind_of_command_when_nothing_but_room_is_wanted", _SHORT),
    ),
    Mutant(
        "backlog-not-looked-at",
        "M14",
        "the log runs away from the state",
        around("raftbbs.core.load_limits:refusal", _no_backlog),
        (f"{_LOAD}test_each_kind_of_command_when_the_log_runs_ahead",),
    ),
)
