#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Upgrade a cluster by one minor release without the collection, as kubernetes.io describes it: the first control plane
# with `kubeadm upgrade apply`, the others with `kubeadm upgrade node`, each drained, then the workers, all in series.
# https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/
#
#   upgrade-by-hand.sh SOURCE VERSION SSH_KEY CONTROL_PLANE... -- WORKER...
set -euo pipefail

source_url=$1 version=$2 key=$3
shift 3
planes=() workers=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do planes+=("$1"); shift; done
[ $# -eq 0 ] || shift
workers=("$@")
first=${planes[0]}
ssh_options=(-i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
    -o ControlMaster=auto -o ControlPath=/tmp/kw-hand-%h -o ControlPersist=60)
# What a node in a container cannot have.
ignored=SystemVerification,Swap,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables

on() { local host=$1; shift; ssh "${ssh_options[@]}" "root@$host" bash -euo pipefail -s -- "$@"; }
# On the first control plane: kubectl as the administrator.
kubectl() { on "$first" <<<"kubectl --kubeconfig /etc/kubernetes/admin.conf $* >/dev/null"; }
upgrade() { # HOST ARGUMENTS
    local host=$1; shift
    on "$host" <<<"kubeadm upgrade $* --ignore-preflight-errors=$ignored >/root/upgrade.log 2>&1 ||
        { tail -n 20 /root/upgrade.log; exit 1; }"
}
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# shellcheck disable=SC2016
fetch='
source_url=$1 version=$2; shift 2
for program; do
    python3 - "$source_url/dl.k8s.io/release/v$version/bin/linux/amd64/$program" "/usr/local/bin/.$program" <<PY
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(answer, out, 1 << 20)
PY
    chmod 755 "/usr/local/bin/.$program"
    mv "/usr/local/bin/.$program" "/usr/local/bin/$program"
done
'

kubelet() { # HOST
    local host=$1 name
    name=$(on "$host" <<<'hostname')
    kubectl drain "$name" --ignore-daemonsets --delete-emptydir-data
    on "$host" "$source_url" "$version" kubelet kubectl <<<"$fetch"
    on "$host" <<<'systemctl daemon-reload && systemctl restart kubelet'
    for _try in $(seq 30); do
        kubectl uncordon "$name" && break
        sleep 2
    done
}

for host in "${planes[@]}"; do
    say "control plane $host"
    on "$host" "$source_url" "$version" kubeadm <<<"$fetch"
    if [ "$host" = "$first" ]; then
        upgrade "$host" apply "v$version" --yes
    else
        upgrade "$host" node
    fi
    say "kubelet of $host"
    kubelet "$host"
done
for host in "${workers[@]}"; do
    say "worker $host"
    on "$host" "$source_url" "$version" kubeadm <<<"$fetch"
    upgrade "$host" node
    kubelet "$host"
done
say "wait until all nodes are Ready"
kubectl wait --for=condition=Ready node --all --timeout=180s
say done
