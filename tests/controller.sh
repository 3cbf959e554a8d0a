#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Test a newer ansible-core as the controller, in a Debian 13 container: site, site again (no changes), verify, reset.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/setup.sh env
. tests/newer-python.sh
newer_python "${1:-2.21}"
name=controller
inventory=$KUBEWRIGHT_CACHE/clusters/$name/inventory.yml

local_cluster() { ansible-playbook kubewright.cluster.local -e local_name=$name "$@"; }
trap 'local_cluster -e local_state=absent >/dev/null' EXIT
# The node runs Debian 13 too: its Python is newer than in the other scenarios.
local_cluster -e local_os=debian13 -e "@$KUBEWRIGHT_CACHE/lab-inputs.json"

playbook() {
    run_newer -e HOME=/tmp -e ANSIBLE_HOME=/tmp/ansible -e ANSIBLE_COLLECTIONS_PATH="$KUBEWRIGHT_WORK/collections" -w "$PWD" \
        --entrypoint /usr/bin/python3 "$image" -m ansible playbook "$@"
}

playbook --version | head -n 1
playbook kubewright.cluster.site -i "$inventory"
playbook kubewright.cluster.site -i "$inventory" | tee "$KUBEWRIGHT_CACHE/controller/second.log"
if grep -E 'changed=[1-9]' "$KUBEWRIGHT_CACHE/controller/second.log"; then
    echo "The second run changed something." >&2
    exit 1
fi
playbook kubewright.cluster.verify -i "$inventory"
playbook kubewright.cluster.reset -i "$inventory" -e reset_confirm=true
