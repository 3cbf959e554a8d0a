#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The newest ansible-core, which wants a newer Python than Debian 12 has, as the controller: from a Debian 13 container it makes a cluster of
# one node, makes it again (nothing may change), proves it and resets it. The nodes' image of Debian 13 serves as the container.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/setup.sh env
version=${1:-2.21}
name=controller
packages=$KUBEWRIGHT_CACHE/controller/$version
inventory=$KUBEWRIGHT_CACHE/clusters/$name/inventory.yml

local_cluster() { ansible-playbook kubewright.cluster.local -e local_name=$name "$@"; }
trap 'local_cluster -e local_state=absent >/dev/null' EXIT

[ -e "$packages/ansible" ] || pip install -q --target "$packages" --python-version 3.13 --implementation cp --only-binary=:all: --ignore-requires-python "ansible-core~=$version.0"
# Its node is made from Debian 13: the image that the controller's container needs too, and another Python on a node.
local_cluster -e local_os=debian13
image=$(podman inspect --format '{{.ImageName}}' $name-cp1)

run() {
    podman --runtime "$(podman inspect --format '{{.OCIRuntime}}' $name-cp1)" run --rm --network host --ulimit nofile=8192:8192 --ulimit nproc=4096:4096 \
        -v "$PWD:$PWD:ro" -v "$KUBEWRIGHT_CACHE:$KUBEWRIGHT_CACHE" \
        -e PYTHONPATH="$packages" -e PYTHONDONTWRITEBYTECODE=1 -e HOME=/tmp -e ANSIBLE_HOME=/tmp/ansible -e ANSIBLE_COLLECTIONS_PATH="$KUBEWRIGHT_WORK/collections" \
        -e ANSIBLE_NOCOLOR=1 -w "$PWD" --entrypoint /usr/bin/python3 "$image" -m ansible playbook "$@"
}

run --version | head -n 1
run kubewright.cluster.site -i "$inventory"
run kubewright.cluster.site -i "$inventory" | tee "$KUBEWRIGHT_CACHE/controller/second.log"
if grep -E 'changed=[1-9]' "$KUBEWRIGHT_CACHE/controller/second.log"; then
    echo "the second run changed something" >&2
    exit 1
fi
run kubewright.cluster.verify -i "$inventory"
run kubewright.cluster.reset -i "$inventory" -e reset_confirm=true
