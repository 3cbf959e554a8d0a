#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install the same cluster without the collection, as kubeadm's documentation describes it, for comparison: prepare all
# nodes in parallel, init, join the other control planes one after another, with the workers in parallel.
# Ends when all nodes are Ready and CoreDNS is available.
#
#   bare.sh SOURCE REGISTRY VERSION SSH_KEY CONTROL_PLANE... -- WORKER...
set -euo pipefail

source_url=$1 registry=$2 version=$3 key=$4
shift 4
planes=() workers=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do planes+=("$1"); shift; done
[ $# -eq 0 ] || shift
workers=("$@")
first=${planes[0]}
ssh_options=(-i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ControlMaster=auto -o ControlPath=/tmp/kw-bare-%h -o ControlPersist=60)

on() { local host=$1; shift; ssh "${ssh_options[@]}" "root@$host" bash -euo pipefail -s -- "$@"; }
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# shellcheck disable=SC2016
prepare='
source_url=$1 registry=$2 version=$3 address=$4; shift 4
get() { curl -fsSL -o "$2" "$source_url/$1"; }
fetch() { python3 - "$source_url/$1" "$2" <<PY
import hashlib, shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(answer, out, 1 << 20)
PY
}
check() { [ "$(sha256sum "$2" | cut -d" " -f1)" = "$(python3 -c "import sys,urllib.request;t=urllib.request.urlopen(sys.argv[1]).read().decode();n=sys.argv[2];print(next((l.split()[0] for l in t.splitlines() if l.strip() and (len(l.split())==1 or l.split()[1].lstrip(chr(42))==n)),""))" "$source_url/$1" "$(basename "$3")")" ]; }
cd /tmp
containerd=github.com/containerd/containerd/releases/download/v2.2.9/containerd-2.2.9-linux-amd64.tar.gz
runc=github.com/opencontainers/runc/releases/download/v1.4.3
cni=github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz
crictl=github.com/kubernetes-sigs/cri-tools/releases/download/v1.37.0/crictl-v1.37.0-linux-amd64.tar.gz
fetch $containerd containerd.tgz; check $containerd.sha256sum containerd.tgz $containerd; tar -C /usr/local -xzf containerd.tgz
fetch $runc/runc.amd64 /usr/local/sbin/runc; check $runc/runc.sha256sum /usr/local/sbin/runc runc.amd64; chmod 755 /usr/local/sbin/runc
mkdir -p /opt/cni/bin; fetch $cni cni.tgz; check $cni.sha256 cni.tgz $cni; tar -C /opt/cni/bin -xzf cni.tgz
fetch $crictl crictl.tgz; check $crictl.sha256 crictl.tgz $crictl; tar -C /usr/local/bin -xzf crictl.tgz
for program in kubeadm kubelet kubectl; do
    fetch dl.k8s.io/release/v$version/bin/linux/amd64/$program /usr/local/bin/$program
    check dl.k8s.io/release/v$version/bin/linux/amd64/$program.sha256 /usr/local/bin/$program $program
    chmod 755 /usr/local/bin/$program
done
rm -f /tmp/*.tgz
for setting in net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables; do [ ! -e /proc/sys/$setting ] || echo 1 >/proc/sys/$setting; done
v2=false; [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ] || v2=true
mkdir -p /etc/containerd/certs.d/registry.k8s.io /etc/cni/net.d /etc/endpoint /etc/kubernetes/kubelet.conf.d
cat >/etc/containerd/config.toml <<TOML
version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:3.10.2"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = $v2
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_template = "/etc/containerd/cni.template"
TOML
printf "[host.\"%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n" "$registry" >/etc/containerd/certs.d/registry.k8s.io/hosts.toml
cat >/etc/containerd/cni.template <<JSON
{"cniVersion": "1.0.0", "name": "bridge", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
 "ipam": {"type": "host-local", "ranges": [[{"subnet": "{{.PodCIDR}}"}]], "routes": [{"dst": "0.0.0.0/0"}]}}, {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
printf "runtime-endpoint: unix:///run/containerd/containerd.sock\n" >/etc/crictl.yaml
cat >/etc/systemd/system/containerd.service <<UNIT
[Service]
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
[Install]
WantedBy=multi-user.target
UNIT
cat >/etc/systemd/system/kubelet.service <<UNIT
[Unit]
ConditionPathExists=/var/lib/kubelet/config.yaml
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \$KUBELET_KUBEADM_ARGS
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
{
    printf "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 2h\n  timeout server 2h\nfrontend api\n  bind 127.0.0.1:7443\n  default_backend api\nbackend api\n  option httpchk GET /readyz\n  default-server check check-ssl verify none inter 1s fall 2 rise 1\n"
    for peer; do printf "  server s%s %s:6443\n" "${peer##*.}" "$peer"; done
} >/etc/endpoint/haproxy.cfg
cat >/etc/systemd/system/endpoint.service <<UNIT
[Service]
ExecStart=/usr/sbin/haproxy -W -f /etc/endpoint/haproxy.cfg
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable -q --now containerd endpoint
systemctl enable -q kubelet
'

registration() { # NAME ADDRESS TAINTED
    printf 'nodeRegistration:\n  name: %s\n  criSocket: unix:///run/containerd/containerd.sock\n  imagePullSerial: false\n  kubeletExtraArgs: [{name: node-ip, value: %s}]\n  taints: %s\n  ignorePreflightErrors: [SystemVerification, Swap, FileContent--proc-sys-net-bridge-bridge-nf-call-iptables]\n' "$1" "$2" "$3"
}
tainted='[{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]'

say "prepare ${#planes[@]} control planes and ${#workers[@]} workers"
jobs_running=()
for host in "${planes[@]}" "${workers[@]}"; do
    on "$host" "$source_url" "$registry" "$version" "$host" "${planes[@]}" <<<"$prepare" &
    jobs_running+=($!)
done
for job in "${jobs_running[@]}"; do wait "$job"; done

say "init on $first"
name=$(on "$first" <<<'hostname')
{
    printf 'cat >/root/init.yaml <<YAML\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: %s}\n' "$first"
    registration "$name" "$first" "$tainted"
    printf -- '---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v%s\ncontrolPlaneEndpoint: 127.0.0.1:7443\nnetworking: {podSubnet: 10.244.0.0/16}\napiServer: {certSANs: [127.0.0.1]}\n' "$version"
    printf -- '---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: cgroupfs\nfailSwapOn: false\nfailCgroupV1: false\n'
    printf -- '---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\nconntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\nYAML\n'
    printf 'kubeadm init --config /root/init.yaml --upload-certs --skip-token-print >/root/init.log 2>&1 || { cat /root/init.log; exit 1; }\n'
    printf 'kubeadm token create --print-join-command --kubeconfig /etc/kubernetes/admin.conf >/root/join\n'
    printf 'kubeadm init phase upload-certs --upload-certs --config /root/init.yaml 2>/dev/null | tail -n 1 >/root/key\n'
} | on "$first"
token=$(on "$first" <<<"cut -d' ' -f5 /root/join") hash=$(on "$first" <<<"cut -d' ' -f7 /root/join") certificate_key=$(on "$first" <<<'cat /root/key')

join() { # HOST control-plane|worker
    local host=$1 name
    name=$(on "$host" <<<'hostname')
    {
        printf 'cat >/root/join.yaml <<YAML\napiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {bootstrapToken: {apiServerEndpoint: "127.0.0.1:7443", token: "%s", caCertHashes: ["%s"]}}\n' "$token" "$hash"
        if [ "$2" = control-plane ]; then
            printf 'controlPlane: {localAPIEndpoint: {advertiseAddress: %s}, certificateKey: "%s"}\n' "$host" "$certificate_key"
            registration "$name" "$host" "$tainted"
        else
            registration "$name" "$host" '[]'
        fi
        printf 'YAML\nkubeadm join --config /root/join.yaml >/root/join.log 2>&1 || { cat /root/join.log; exit 1; }\n'
    } | on "$host"
}

jobs_running=()
for host in "${workers[@]}"; do
    say "join worker $host in the background"
    join "$host" worker &
    jobs_running+=($!)
done
for host in "${planes[@]:1}"; do
    say "join control plane $host"
    join "$host" control-plane
done
for job in "${jobs_running[@]}"; do wait "$job"; done

say "add routes to the pods of other nodes"
routes=$(on "$first" <<<"kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o jsonpath='{range .items[*]}{.spec.podCIDR} via {.status.addresses[?(@.type==\"InternalIP\")].address}{\"\\n\"}{end}'")
jobs_running=()
for host in "${planes[@]}" "${workers[@]}"; do
    grep -v " $host\$" <<<"$routes" | sed 's/^/ip route replace /' | on "$host" &
    jobs_running+=($!)
done
for job in "${jobs_running[@]}"; do wait "$job"; done

say "wait for nodes and CoreDNS"
on "$first" <<<'export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl wait --for=condition=Ready node --all --timeout=180s >/dev/null
kubectl -n kube-system rollout status deployment/coredns --timeout=180s >/dev/null
kubectl get nodes'
say done
