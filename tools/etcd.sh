#!/bin/sh
# Says where an etcd is, for the benchmark that compares the BBS with it: the one in PATH, or
# Debian's, unpacked into .cache. Nothing is installed, so no service starts.
#
# What etcd's package would bring along for its service (a user, /var/lib/etcd) is not made.
set -eu
cd "$(dirname "$0")/.."

PRIVATE=$PWD/.cache/etcd

fail() {
    echo "no etcd: $*" >&2
    exit 1
}

if [ -x "$PRIVATE/usr/bin/etcd" ]; then
    echo "$PRIVATE/usr/bin/etcd"
    exit 0
fi
if command -v etcd >/dev/null 2>&1; then
    command -v etcd
    exit 0
fi
[ "${DIEGOD_NO_APT:-}" != 1 ] || fail "not fetched, because of DIEGOD_NO_APT=1"
command -v apt-get >/dev/null 2>&1 || fail "there is no apt-get here to fetch etcd-server with"

echo "set-up: unpacking etcd-server into .cache (DIEGOD_NO_APT=1 declines)" >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(
    cd "$folder"
    apt-get download -qq -o APT::Sandbox::User=root etcd-server >&2 # the folder is ours alone
    dpkg -x etcd-server_*.deb unpacked
) || fail "apt-get could not download etcd-server"
mkdir -p "${PRIVATE%/*}"
mv "$folder/unpacked" "$PRIVATE"
echo "$PRIVATE/usr/bin/etcd"
