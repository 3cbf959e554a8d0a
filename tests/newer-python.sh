# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Source this file to run an ansible-core that needs a newer Python than Debian 12 has, in a Debian 13 container.
#   newer_python VERSION      set $packages (ansible-core's files) and $image
#   run_newer ARGUMENT...     podman run with both, the checkout and the cache mounted

newer_python() {
    packages=$KUBEWRIGHT_CACHE/controller/$1
    [ -e "$packages/ansible" ] || pip install -q --target "$packages" --python-version 3.13 --implementation cp --only-binary=:all: \
        --ignore-requires-python "ansible-core~=$1.0"
    image=localhost/kubewright-node:debian13-controller
    podman image exists "$image" || roles/local/files/image/build.sh trixie "$image" "$KUBEWRIGHT_CACHE/nodes" podman
}

# Use the OCI runtime of the lab's container, which works on this machine.
run_newer() {
    podman --runtime "$(podman inspect --format '{{.OCIRuntime}}' kubewright-lab)" run --rm --network host \
        --ulimit nofile=8192:8192 --ulimit nproc=4096:4096 -v "$PWD:$PWD:ro" -v "$KUBEWRIGHT_CACHE:$KUBEWRIGHT_CACHE" \
        -e PYTHONPATH="$packages" -e PYTHONDONTWRITEBYTECODE=1 -e ANSIBLE_NOCOLOR=1 "$@"
}
