"""The names a server can be dialled by, as certificates hold them: DNS names and IP addresses."""

import ipaddress
import re

from cryptography import x509

from diegod.security.errors import SecurityError

_LABEL = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?")
_MAX_DNS_NAME = 253


def parse_host(text: str) -> x509.DNSName | x509.IPAddress:
    """`text` as a name of a certificate; DNS names become lower case."""
    if _is_ip_address(text):
        return x509.IPAddress(ipaddress.ip_address(text))
    if _is_dns_name(text):
        return x509.DNSName(text.lower())
    raise SecurityError(
        f"{text!a} is no host (neither a DNS name nor an IP address). "
        "Give a name as clients dial it, without port or wildcard."
    )


def is_host(text: str) -> bool:
    """Whether `text` could be dialled: what `parse_host` accepts."""
    return _is_ip_address(text) or _is_dns_name(text)


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[IPv6 address]:port`, taken apart."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if colon and is_host(host) and re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536:
        return host, int(port)
    raise SecurityError(
        f"{address!a} is no address (not of the form HOST:PORT). "
        "Give for example bbs-1.example.com:8889."
    )


def _is_ip_address(name: str) -> bool:
    # A zone ("fe80::1%eth0") has a meaning on one machine only; no certificate can hold it.
    if "%" in name:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_dns_name(name: str) -> bool:
    labels = name.split(".")
    # A last label of digits only is a mistyped IPv4 address such as 10.0.0.300.
    return (
        len(name) <= _MAX_DNS_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
