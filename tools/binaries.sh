#!/bin/sh
# Sees to the programs that cells and their tests call: installs the missing ones, and only those.
#
# What counts is the program, not the package: a runc that Docker brought is as good as Debian's, and
# asking for Debian's would remove Docker. What still is missing afterwards is named, and not an
# error here: the tests that need it are skipped and say so, and a cell names it when it starts.
set -eu
cd "$(dirname "$0")/.."

PRIVATE=.cache/bin # in front of PATH in the Makefile

# The programs, and Debian's packages for them. None of these packages starts a service.
wanted() {
    cat <<'END'
runc    runc
conmon  conmon
busybox busybox-static
nft     nftables
ip      iproute2
END
}

missing_packages() {
    wanted | while read -r program package; do
        command -v "$program" >/dev/null 2>&1 || echo "$package"
    done
}

# Debian's packages busybox and busybox-static exclude each other, and a root file system made of one
# file needs the static one. Where the other is installed it stays, and ours is only unpacked.
busybox_is_dynamic() {
    command -v busybox >/dev/null 2>&1 && ldd "$(command -v busybox)" 2>/dev/null | grep -q '=>'
}

unpack_static_busybox() {
    [ "${DIEGOD_NO_APT:-}" != 1 ] || return 1
    echo "set-up: unpacking busybox-static into $PRIVATE (DIEGOD_NO_APT=1 declines)"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (
        cd "$folder"
        apt-get download -qq -o APT::Sandbox::User=root busybox-static # the folder is ours alone
        dpkg -x busybox-static_*.deb .
    ) || return 1
    mkdir -p "$PRIVATE"
    cp "$folder/bin/busybox" "$PRIVATE/busybox"
}

packages=$(missing_packages)
if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # one word a package is meant
    sh tools/apt.sh $packages || true
fi
if busybox_is_dynamic; then
    unpack_static_busybox ||
        echo "set-up: busybox here is not static; containers need busybox-static" >&2
fi
