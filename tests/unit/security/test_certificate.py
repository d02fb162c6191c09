"""Certificates and dates as people read them."""

import time

import pytest
from cryptography import x509

from diegod.security.certificate import (
    alternative_names,
    duration_text,
    hosts_of,
    is_issued_by,
    parse_authorities,
    parse_certificate,
    utc_text,
)
from diegod.security.errors import SecurityError
from tests.unit.security import certificates


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (40.0, "40 s"),
        (60.0, "1 min"),
        (3 * 3600 + 59.0, "3 h"),
        (86_400.0, "1 day"),
        (2.9 * 86_400, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_dates_are_in_utc() -> None:
    assert utc_text(1_795_327_800.0) == "2026-11-22 06:10 UTC"


def test_a_stranger_can_not_steer_the_terminal_through_a_host_name() -> None:
    assert hosts_of([x509.DNSName("\x1b[2Jbbs-1")]) == ["'\\x1b[2Jbbs-1'"]


def test_a_bundle_holds_the_old_and_the_new_authority() -> None:
    now = time.time()
    old, new = certificates.careless_authority(now), certificates.careless_authority(now)
    bundle = parse_authorities(old.certificate_pem + new.certificate_pem, "ca.crt")
    assert bundle == [old.certificate, new.certificate]
    leaf = parse_certificate(new.sign(certificates.LOOPBACK, now).certificate_pem)
    # Of one name, but only one has the key.
    assert [is_issued_by(leaf, authority) for authority in bundle] == [False, True]


def test_a_certificate_without_names_has_none() -> None:
    assert alternative_names(certificates.careless_authority(time.time()).certificate) == []


def test_what_is_no_certificate_is_called_by_its_name() -> None:
    with pytest.raises(SecurityError, match=r"^/x/ca\.crt is no CA certificate"):
        parse_authorities(b"rubbish", "/x/ca.crt")
    with pytest.raises(SecurityError, match=r"^/x/user\.crt is no certificate"):
        parse_certificate(b"rubbish", "/x/user.crt")
