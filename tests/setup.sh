#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install what the quickstart and the tests need: Debian packages, a virtual environment, and a collections path.
# Everything except packages is in $KUBEWRIGHT_CACHE (default ~/.cache/kubewright). Takes no time if nothing changed.
#   tests/setup.sh          set up
#   . tests/setup.sh env    set up, and export PATH, ANSIBLE_COLLECTIONS_PATH and PYTHONPATH in this shell
#   . tests/setup.sh env FILE...    also install the packages listed in these files

KUBEWRIGHT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export KUBEWRIGHT_CACHE=${KUBEWRIGHT_CACHE:-$HOME/.cache/kubewright}
venv=$KUBEWRIGHT_CACHE/venv
# Checkouts share the cache, except for files that contain the checkout's path.
KUBEWRIGHT_WORK=$KUBEWRIGHT_CACHE/checkouts/$(echo "$KUBEWRIGHT_ROOT" | sha256sum | cut -c1-12)
export KUBEWRIGHT_WORK

lists=("$KUBEWRIGHT_ROOT/tests/apt.txt" "$KUBEWRIGHT_ROOT/tests/lab/apt.txt" "${@:2}")

wanted_packages() {
    cat "${lists[@]}" | sed 's/#.*//' | xargs -n1 | sort -u
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

packages() {
    local missing=() package
    if ! command -v dpkg-query >/dev/null; then
        other_host
        return
    fi
    for package in $(wanted_packages); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "Install these packages as root: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${missing[*]}"
    (apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}") \
        >"$KUBEWRIGHT_CACHE/apt.log" 2>&1 || {
        tail -20 "$KUBEWRIGHT_CACHE/apt.log" >&2
        echo "apt-get failed. Complete log: $KUBEWRIGHT_CACHE/apt.log" >&2
        return 1
    }
}

# Package names differ between distributions, so check for programs instead.
other_host() {
    local program missing=()
    for program in git ssh ssh-keygen gcc go; do
        command -v $program >/dev/null || missing+=("$program")
    done
    command -v podman >/dev/null || command -v docker >/dev/null || missing+=("podman or docker")
    [ ${#missing[@]} -eq 0 ] || {
        echo "Missing programs: ${missing[*]}. Install them with your package manager." >&2
        return 1
    }
}

# Create the virtual environment again for another Python version; update it when the requirements change.
environment() {
    local python stamp
    python=$(python3 -c 'import sys; print("%d.%d %s" % (*sys.version_info[:2], sys.base_prefix))')
    stamp="$python $(sha256sum <"$KUBEWRIGHT_ROOT/tests/requirements.txt")"
    [ "$(cat "$venv/.made" 2>/dev/null)" != "$stamp" ] || return 0
    echo "Creating the virtual environment $venv (half a minute)"
    case $(cat "$venv/.made" 2>/dev/null) in
        "$python "*) ;;
        *) python3 -m venv --clear "$venv" ;;
    esac
    "$venv/bin/pip" --quiet --disable-pip-version-check install -r "$KUBEWRIGHT_ROOT/tests/requirements.txt" || return 1
    echo "$stamp" >"$venv/.made"
}

collection() {
    local link=$KUBEWRIGHT_WORK/collections/ansible_collections/kubewright/cluster
    [ ! -e "$link" ] || return 0
    mkdir -p "$(dirname "$link")"
    ln -sfn "$KUBEWRIGHT_ROOT" "$link"
}

set_up() {
    command -v python3 >/dev/null || {
        echo "python3 is missing. Install Python 3.11 or newer." >&2
        return 1
    }
    mkdir -p "$KUBEWRIGHT_CACHE" && packages && environment && collection
}

set_up || exit 1
if [ "${1:-}" = env ]; then
    export PATH=$venv/bin:$PATH
    export ANSIBLE_COLLECTIONS_PATH=$KUBEWRIGHT_WORK/collections
    export ANSIBLE_CONFIG=$KUBEWRIGHT_ROOT/ansible.cfg
    # For pytest: the unit tests import the collection by its full name.
    export PYTHONPATH=$KUBEWRIGHT_WORK/collections
fi
