"""The packet filter's text: what is in the table, and which commands make one map from another."""

from ipaddress import IPv4Network

from diegod_runc.nat import Rules, changes

RULES = Rules("diegod_ab", "dgab", IPv4Network("10.1.0.0/23"), (), host_access=False)
WEB = {61001: ("10.1.0.2", 8080)}


def test_ports_of_a_new_table() -> None:
    text = RULES.text({61002: ("10.1.0.3", 80), **WEB})
    assert "elements = { 61001 : 10.1.0.2 . 8080, 61002 : 10.1.0.3 . 80 }" in text
    assert "elements" not in RULES.text({})


def test_only_our_table_is_named() -> None:
    tables = [line.split()[-1] for line in RULES.text({}).splitlines() if "table inet" in line]
    assert tables == ["diegod_ab", "diegod_ab", "{"]
    assert "flush" not in RULES.text(WEB)


def test_loopback_is_out_of_reach_for_containers() -> None:
    assert 'iifname "dgab" ip daddr 127.0.0.0/8 drop' in RULES.text({})


def test_host_access_is_a_choice() -> None:
    closed = 'iifname "dgab" drop'
    assert closed in RULES.text({})
    opened = Rules("t", "dgab", RULES.subnet, (), host_access=True)
    assert closed not in opened.text({})


def test_denied_networks() -> None:
    deny = (IPv4Network("169.254.0.0/16"), IPv4Network("192.168.0.0/16"))
    text = Rules("t", "dgab", RULES.subnet, deny, host_access=True).text({})
    assert 'iifname "dgab" ip daddr { 169.254.0.0/16, 192.168.0.0/16 } drop' in text


def test_equal_maps_need_no_command() -> None:
    assert changes("t", WEB, dict(WEB)) == ""


def test_several_new_ports_are_one_command() -> None:
    more = {**WEB, 61003: ("10.1.0.4", 1), 61002: ("10.1.0.3", 2)}
    assert changes("t", WEB, more) == (
        "add element inet t ports { 61002 : 10.1.0.3 . 2, 61003 : 10.1.0.4 . 1 }\n"
    )


def test_a_port_that_moves_is_deleted_first() -> None:
    assert changes("t", WEB, {61001: ("10.1.0.9", 80)}) == (
        "delete element inet t ports { 61001 }\n"
        "add element inet t ports { 61001 : 10.1.0.9 . 80 }\n"
    )
