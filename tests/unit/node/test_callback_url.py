"""Callback URLs taken apart; what is no URL to call is refused with its reason."""

import pytest

from diegod.node.callback_url import BadUrlError, CallbackUrl


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "header"),
    [
        ("http://example.com", "example.com", 80, "/", "example.com"),
        ("https://example.com/a/b?c=d#e", "example.com", 443, "/a/b?c=d", "example.com"),
        ("HTTP://Example.com:8080/", "example.com", 8080, "/", "example.com:8080"),
        ("http://[::1]:81/x", "::1", 81, "/x", "[::1]:81"),
        ("http://ü.example/ü", "xn--tda.example", 80, "/%C3%BC", "xn--tda.example"),
    ],
)
def test_a_url_in_its_parts(text: str, host: str, port: int, target: str, header: str) -> None:
    url = CallbackUrl.parse(text)
    assert (url.host, url.port, url.target, url.host_header) == (host, port, target, header)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://example.com/", "neither http nor https"),
        ("file:" + "//" + "/etc/passwd", "neither http nor https"),
        ("example.com/x", "neither http nor https"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://user:word@example.com/", "must not carry a user or a password"),
        ("http://example.com@127.0.0.1/", "must not carry a user or a password"),
        ("http://example.com:99999/", "is not a URL"),
        ("http://[::1/", "is not a URL"),
        ("http://example.com/\r\nHost: other", "has a character that no URL has"),
        ("http://example.com\\@other/", "has a character that no URL has"),
        ("http://example.com/a b", "has a character that no URL has"),
        (f"http://{'ü' * 80}.example/", "is not the name of a host"),
    ],
)
def test_what_can_never_be_called(text: str, why: str) -> None:
    with pytest.raises(BadUrlError, match=why):
        CallbackUrl.parse(text)


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(BadUrlError) as caught:
        CallbackUrl.parse("http://user:word@example.com/")
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "location", "target"),
    [
        ("http://a.example/x/y", "z", "http://a.example/x/z"),
        ("http://a.example/x", "//b.example/", "http://b.example/"),
        ("http://a.example/x", "https://b.example/", "https://b.example/"),
        ("https://a.example/x", "/y", "https://a.example/y"),
    ],
)
def test_a_redirect(start: str, location: str, target: str) -> None:
    assert CallbackUrl.parse(start).redirected(location).text == target


@pytest.mark.parametrize("location", ["http://a.example/", "ftp://a.example/", "https://u:p@b/"])
def test_a_redirect_that_is_not_followed(location: str) -> None:
    with pytest.raises(BadUrlError):
        CallbackUrl.parse("https://a.example/x").redirected(location)
