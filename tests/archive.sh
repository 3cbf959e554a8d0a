#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The archive that users install: built from what git has, installed without a network, and its plan run on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/source"
git ls-files -z -co --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' - | tar -c --null -T - | tar -x -C "$work/source"
ansible-galaxy collection build --output-path "$work" "$work/source" >/dev/null
archive=$(echo "$work"/kubewright-cluster-*.tar.gz)
export ANSIBLE_COLLECTIONS_PATH=$work/installed
ansible-galaxy collection install --no-deps --offline -p "$work/installed" "$archive" >/dev/null

unwanted=$(tar -tzf "$archive" | grep -E '^(tests|molecule|benchmarks|\.[a-z])|pyc$|tar\.gz$' || true)
[ -z "$unwanted" ] || {
    printf 'the archive holds what users do not need:\n%s\n' "$unwanted" >&2
    exit 1
}

cat >"$work/inventory.yml" <<INVENTORY
all:
  children:
    kube_control_plane:
      hosts:
        here: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
INVENTORY
cd "$work"
unset ANSIBLE_CONFIG
ansible-playbook kubewright.cluster.plan -i inventory.yml
echo "$(du -h "$archive" | cut -f1) of archive, installed and planned with"
