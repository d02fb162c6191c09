"""A callback URL, taken apart for one request; what can't be called is said, not repaired."""

from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
#: What a path and a query may hold as they are.
_SAFE = "/?&=%:@!$'()*+,;~-._[]"


class BadUrlError(ValueError):
    """It can never be called."""


@dataclass(frozen=True)
class CallbackUrl:
    scheme: str
    host: str  # as certificates name it
    port: int
    target: str  # path and query, as they go into the request line
    text: str

    @classmethod
    def parse(cls, text: str) -> "CallbackUrl":
        if any(c.isspace() or not c.isprintable() or c == "\\" for c in text):
            raise BadUrlError(f"{text!r} has a character that no URL has")
        parts, port = _split(text)
        if parts.scheme not in _PORTS:
            raise BadUrlError(f"{text} is neither http nor https")
        if parts.username is not None or parts.password is not None:
            raise BadUrlError("a callback URL must not carry a user or a password")
        if not parts.hostname:
            raise BadUrlError(f"{text} names no host")
        query = f"?{parts.query}" if parts.query else ""
        return cls(
            parts.scheme,
            _ascii(parts.hostname),
            _PORTS[parts.scheme] if port is None else port,
            quote((parts.path or "/") + query, safe=_SAFE),
            text,
        )

    @property
    def is_https(self) -> bool:
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def redirected(self, location: str) -> "CallbackUrl":
        """Where the server sends us; raises BadUrlError where we don't go."""
        other = CallbackUrl.parse(urljoin(self.text, location))
        if self.is_https and not other.is_https:
            raise BadUrlError(f"from https to {other.text}")
        return other


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError as error:
        raise BadUrlError(f"{text} is not a URL: {error}") from None


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise BadUrlError(f"{host} is not the name of a host") from None
