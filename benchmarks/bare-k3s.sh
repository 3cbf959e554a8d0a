#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install the same K3s cluster without the collection, as docs.k3s.io describes it, for comparison: install K3s on all
# nodes in parallel, start the first server, then the other servers one after another, with the agents in parallel.
# Ends when all nodes are Ready, all servers vote and CoreDNS is available.
#
#   bare-k3s.sh SOURCE REGISTRY VERSION SSH_KEY SERVER... -- AGENT...
set -euo pipefail

source_url=$1 registry=$2 version=$3 key=$4
shift 4
servers=() agents=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do servers+=("$1"); shift; done
[ $# -eq 0 ] || shift
agents=("$@")
first=${servers[0]}
ssh_options=(-i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ControlMaster=auto -o ControlPath=/tmp/kw-bare-%h -o ControlPersist=60)

on() { local host=$1; shift; ssh "${ssh_options[@]}" "root@$host" bash -euo pipefail -s -- "$@"; }
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# shellcheck disable=SC2016
prepare='
source_url=$1 registry=$2 version=$3 address=$4 role=$5 first=$6
base="$source_url/github.com/k3s-io/k3s/releases/download/v$version%2Bk3s1"
python3 - "$base" /usr/local/bin/k3s <<PY
import hashlib, shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "/k3s") as answer, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(answer, out, 1 << 20)
sums = urllib.request.urlopen(sys.argv[1] + "/sha256sum-amd64.txt").read().decode().splitlines()
wanted = next(line.split()[0] for line in sums if line.split()[1] == "k3s")
with open(sys.argv[2], "rb") as done:
    assert hashlib.file_digest(done, "sha256").hexdigest() == wanted
PY
chmod 755 /usr/local/bin/k3s
for setting in net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables; do [ ! -e /proc/sys/$setting ] || echo 1 >/proc/sys/$setting; done
mkdir -p /etc/rancher/k3s
umask 077
echo "$token" >/etc/rancher/k3s/token
{
    printf "node-ip: %s\ntoken-file: /etc/rancher/k3s/token\n" "$address"
    [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || printf "kubelet-arg: [fail-cgroupv1=false]\n"
    if [ "$role" = server ]; then
        printf "cluster-cidr: 10.244.0.0/16\nservice-cidr: 10.96.0.0/12\nnode-taint: [\"node-role.kubernetes.io/control-plane:NoSchedule\"]\n"
        [ "$address" != "$first" ] || printf "cluster-init: true\n"
    fi
    [ "$address" = "$first" ] || printf "server: https://%s:6443\n" "$first"
} >/etc/rancher/k3s/config.yaml
printf "mirrors:\n  registry.k8s.io: {endpoint: [\"%s\"]}\n  docker.io: {endpoint: [\"%s\"]}\n" "$registry" "$registry" >/etc/rancher/k3s/registries.yaml
cat >/etc/systemd/system/k3s.service <<UNIT
[Service]
Type=notify
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s $role
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable -q k3s
'

token=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
say "prepare ${#servers[@]} servers and ${#agents[@]} agents"
jobs_running=()
for host in "${servers[@]}"; do
    on "$host" "$source_url" "$registry" "$version" "$host" server "$first" <<<"token=$token$prepare" &
    jobs_running+=($!)
done
for host in "${agents[@]}"; do
    on "$host" "$source_url" "$registry" "$version" "$host" agent "$first" <<<"token=$token$prepare" &
    jobs_running+=($!)
done
for job in "${jobs_running[@]}"; do wait "$job"; done

say "start $first"
on "$first" <<<'systemctl start k3s'
jobs_running=()
for host in "${agents[@]}"; do
    say "join agent $host in the background"
    on "$host" <<<'systemctl start k3s' &
    jobs_running+=($!)
done
for host in "${servers[@]:1}"; do
    say "join server $host"
    on "$host" <<<'systemctl start k3s'
done
for job in "${jobs_running[@]}"; do wait "$job"; done

say "wait for nodes and CoreDNS"
mapfile -t names < <(for host in "${servers[@]}" "${agents[@]}"; do on "$host" <<<hostname; done)
on "$first" "${names[@]}" <<<'
for node in "$@"; do until k3s kubectl get node "$node" >/dev/null 2>&1; do sleep 0.5; done; done
k3s kubectl wait --for=condition=Ready node --all --timeout=180s >/dev/null
k3s kubectl -n kube-system rollout status deployment/coredns --timeout=180s >/dev/null
k3s kubectl get nodes'
say done
