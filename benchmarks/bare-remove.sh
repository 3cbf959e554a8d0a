#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Remove a dead control plane without the collection, for comparison: take it out of each node's HAProxy, remove its
# etcd member, delete its Node. Nothing is checked before, and nothing afterwards.
# https://etcd.io/docs/v3.6/op-guide/runtime-configuration/#remove-a-member
#
#   bare-remove.sh SSH_KEY NODE_NAME ITS_ADDRESS CONTROL_PLANE_THAT_STAYS OTHER_NODE...
set -euo pipefail

key=$1 name=$2 gone=$3
shift 3
asked=$1
ssh_options=(-i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR)

on() { local host=$1; shift; ssh "${ssh_options[@]}" "root@$host" bash -euo pipefail -s; }

for host in "$@"; do
    on "$host" <<<"sed -i '/ $gone:/d' /etc/kubewright/endpoint/haproxy.cfg; systemctl reload kube-endpoint"
done
on "$asked" <<EOF
export KUBECONFIG=/etc/kubernetes/admin.conf
etcdctl() {
    crictl exec "\$(crictl ps -q --name '^etcd\$')" etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt \
        --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key "\$@"
}
member=\$(etcdctl member list | grep ', $name,' | cut -d, -f1)
etcdctl member remove "\$member"
kubectl delete node $name
EOF
