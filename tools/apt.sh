#!/bin/sh
# Installs the named Debian packages, and tells which before it does.
#
#     tools/apt.sh PACKAGE…
#
# Nothing is ever removed for their sake, nothing recommended comes along. Fails with one line where
# this may not or can't be done: DIEGOD_NO_APT=1, not root, not a Debian.
set -eu

fail() {
    echo "set-up: $*" >&2
    exit 1
}

[ "${DIEGOD_NO_APT:-}" != 1 ] || fail "not installed, because of DIEGOD_NO_APT=1: $*"
command -v apt-get >/dev/null 2>&1 || fail "not installed, because there is no apt-get here: $*"
[ "$(id -u)" = 0 ] || fail "not installed, because only root may: apt-get install $*"

echo "set-up: installing with apt-get: $* (DIEGOD_NO_APT=1 declines)"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends --no-remove "$@" </dev/null
