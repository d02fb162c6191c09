"""Values in encrypted envelopes.

    sealed      format (1 byte), label of the key (1), and what `security.at_rest` makes of the rest

Which labels there are is said by the store's own table of keys (`key_registry`). An envelope opens
those and no other: a plain value where nothing is plain any more is refused as a foreign one is.
Does not belong here: cryptography (`security.at_rest`), and when values are encrypted anew
(`rekeying`).
"""

from collections.abc import Mapping

from diegod.raftbbs.store.envelope import FORMAT, PLAIN, PLAIN_ENVELOPE, EnvelopeError, complaint
from diegod.security.at_rest import MasterKey, NotOpened, Opener, Sealer


class SealedEnvelope:
    """Closes under one label and opens under several; label 0 is plain."""

    def __init__(self, active: int, keys: Mapping[int, MasterKey], *, opens_plain: bool) -> None:
        self._header = bytes([FORMAT, active])
        self._active = active
        self._sealer = None if active == PLAIN else Sealer(keys[active])
        self._openers = {label: Opener(key) for label, key in keys.items()}
        self._opens_plain = opens_plain

    def wrap(self, place: bytes, payload: bytes) -> bytes:
        if self._sealer is None:
            return PLAIN_ENVELOPE.wrap(place, payload)
        return self._header + self._sealer.seal(place, payload)

    def unwrap(self, place: bytes, stored: bytes) -> bytes:
        label = stored[1] if len(stored) > 1 and stored[0] == FORMAT else PLAIN
        if label == PLAIN:
            payload = PLAIN_ENVELOPE.unwrap(place, stored)
            if not self._opens_plain:
                raise EnvelopeError(_said(place, "is not encrypted, as all others are"))
            return payload
        opener = self._openers.get(label)
        if opener is None:
            raise EnvelopeError(complaint(place, stored))
        try:
            return opener.open(place, stored[2:])
        except NotOpened:
            raise EnvelopeError(
                _said(place, "is not what was encrypted with its key at this place")
            ) from None

    def of_active_key_only(self) -> "SealedEnvelope":
        """The same, when nothing in the store needs another key any more."""
        narrowed = object.__new__(SealedEnvelope)
        narrowed._header, narrowed._active = self._header, self._active
        narrowed._sealer = self._sealer  # its numbers go on: both may be in use for a while
        narrowed._openers = {
            label: opener for label, opener in self._openers.items() if label == self._active
        }
        narrowed._opens_plain = self._active == PLAIN
        return narrowed


def _said(place: bytes, what: str) -> str:
    where = place.split(b"\0", 1)[0].decode(errors="replace")
    return f"a value in {where} {what}: the store is damaged"
