"""The three files of /etc that a container can't inherit: hosts, hostname, resolv.conf. Pure."""

from ipaddress import ip_address


def hosts(address: str, hostname: str) -> str:
    name = hostname or "container"
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{name}\n"


def resolv_conf(host: str, systemd_resolved: str) -> str:
    """What the container asks for names.

    `host` is the host's /etc/resolv.conf, `systemd_resolved` the file in which systemd-resolved
    keeps the real servers ("" where it doesn't run). A server on loopback is the host's own and
    dead inside a network namespace.
    """
    text = systemd_resolved if systemd_resolved and _is_stub(host) else host
    return "".join(f"{line}\n" for line in text.splitlines() if not _names_loopback(line))


def name_servers(text: str) -> list[str]:
    """The addresses of a resolv.conf."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _is_stub(text: str) -> bool:
    return any(_names_loopback(line) for line in text.splitlines())


def _names_loopback(line: str) -> bool:
    for server in name_servers(line):
        try:
            return ip_address(server.partition("%")[0]).is_loopback
        except ValueError:
            return False
    return False
