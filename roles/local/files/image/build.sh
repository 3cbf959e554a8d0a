#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the image of a node: a Debian that boots in a container.
# Usage: build.sh SUITE IMAGE CACHE_DIR [ENGINE]
# A Debian host with mmdebstrap makes the root file system itself, with the mirror and the
# settings of its own apt, and keeps it in CACHE_DIR; any other host builds it from the Debian image.
set -eu
suite=$1 image=$2 cache=$3 engine=${4:-podman}
here=$(cd "$(dirname "$0")" && pwd)
packages=$(grep -v '^#' "$here/packages" | tr '\n' ' ')

mirror() { # LABEL DEFAULT: where the host's own apt finds Debian
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" 2>/dev/null | head -n 1)
    found=${found:-$2}
    echo "${found%/}"
}

sources() {
    debian=$(mirror Debian http://deb.debian.org/debian)
    echo "deb $debian $suite main"
    echo "deb $debian $suite-updates main"
    echo "deb $(mirror Debian-Security http://deb.debian.org/debian-security) $suite-security main"
}

rootfs() { # FILE: one atomic rename, so that a killed build leaves nothing that looks whole
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    apt-config dump | grep '^Acquire::' > "$work/apt.conf" || true
    sources > "$work/sources.list"
    TMPDIR="$work" mmdebstrap --variant=minbase --aptopt="$work/apt.conf" \
        --include="$(echo "$packages" | sed 's/ *$//; s/ \+/,/g')" \
        --customize-hook="sh '$here/setup.sh' \"\$1\"" \
        "$suite" "$work/rootfs.tar" "$work/sources.list"
    rm -f "$cache/$suite"-*.tar # of older lists of packages
    mv "$work/rootfs.tar" "$1"
}

main() {
    mkdir -p "$cache"
    key=$(cat "$here/packages" "$here/setup.sh" | sha256sum | cut -c 1-12)
    tar="$cache/$suite-$(dpkg --print-architecture 2>/dev/null || uname -m)-$key.tar"
    if [ -s "$tar" ] || command -v mmdebstrap > /dev/null; then
        [ -s "$tar" ] || rootfs "$tar"
        "$engine" import --change 'CMD ["/sbin/init"]' --change 'STOPSIGNAL SIGRTMIN+3' "$tar" "$image"
    else
        "$engine" build --build-arg "SUITE=$suite" --build-arg "PACKAGES=$packages" -t "$image" "$here"
    fi
}

main # read to its end before it runs: it may be replaced meanwhile
