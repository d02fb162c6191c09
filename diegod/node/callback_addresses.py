"""Which addresses a callback may be posted to: those that a name was resolved to, never the name.

Whoever may desire a task chooses the URL, so the brain must not become their way into places that
they can't reach: the link-local ones, where clouds keep a machine's credentials, never; other
inside ones only if the definition itself names them, not because some server redirects there.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

#: NAT64: the last four bytes are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")
#: Where a cloud answers that also answers at 169.254.169.254.
_METADATA = (IPv6Address("fd00:ec2::254"),)


def refusal(address_text: str, *, redirected: bool) -> str:
    """Why nothing is posted to this address; empty: it may be."""
    address = _innermost(ip_address(address_text.partition("%")[0]))
    if address.is_link_local or address in _METADATA:
        return f"{address_text} is link-local"
    if address.is_unspecified or address.is_multicast:
        return f"{address_text} is no machine's address"
    if redirected and not address.is_global:
        return f"{address_text} is an inside address, to which no redirect may lead"
    return ""


def _innermost(address: Address) -> Address:
    """An IPv4 address in the clothes of IPv6 is that IPv4 address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    inner = address.ipv4_mapped or address.sixtofour or teredo or _compatible(address)
    return inner or address


def _compatible(address: IPv6Address) -> IPv4Address | None:
    """::a.b.c.d, of old; :: and ::1 are IPv6 addresses of their own."""
    number = int(address)
    return IPv4Address(number) if 1 < number <= 0xFFFFFFFF else None
