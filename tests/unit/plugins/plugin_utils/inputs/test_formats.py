# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges and forms: what cannot work is refused, with the input, the value and the way out; what can is accepted."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import formats, schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import auto_deploy
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

GOOD = {
    "kube_version": ["1.36", "1.36.3", "v1.36.3", "v1.36.3+k3s1", ""],
    "kube_cluster_name": ["kubernetes", "prod-1", "Lab.eu_1"],
    "kube_cluster_domain": ["cluster.local", "k8s.example.com"],
    "kube_api_endpoint": [
        {},
        {"mode": "external", "address": "api.example.com", "port": 6443},
        {"address": "192.0.2.10", "virtual_router_id": 255, "password": "s3.cret"},
        {"address": "2001:db8::10"},
    ],
    "kube_api_port": [6443, "8443", 443],
    "kube_api_sans": [["api.example.com", "*.example.com", "192.0.2.7"]],
    "kube_pod_cidrs": [["10.244.0.0/16"], ["10.244.0.0/16", "fd00:1::/56"]],
    "kube_node_name": ["", "w-1", "w1.example.com"],
    "kube_node_ip": ["10.0.0.5", "eth1", "10.0.0.0/24", "10.0.0.5,fd00::5", "enp3s0.100"],
    "kube_node_taints": [["a=b:NoSchedule", "example.com/gpu:NoExecute"], []],
    "kube_artifacts": [
        {"source": "upstream"},
        {"source": "/srv/mirror"},
        {"source": "./mirror"},
        {"source": "https://mirror.example/k8s"},
        {"versions": {"containerd": "2.2.9"}, "checksums": {"https://x.example/y": "0" * 64}},
    ],
    "kube_http_proxy": [
        {"no_proxy": ["*.example.com", "host:8080", "10.0.0.5:80", "my_host", "fd00::1", "1.example"]},
        {"http": "http://proxy:3128"},
        {"http": "http://build_proxy.corp:3128", "https": "http://[fd00::1]:3128"},
        {"http": "http://user:p@ss@proxy:3128"},  # Go's and Python's parsers take the last @
        {"https": "http://user:secret@proxy:3128", "no_proxy": [".example.com", "10.0.0.0/8", "host", "fd00::/8"]},
    ],
    "kube_data_dir": ["", "/data", "/var/lib"],
    "kube_backup": [
        {"keep": 0, "to": [{"s3": {"bucket": "my.backups_1", "access_key": "a", "secret_key": "b"}}]},
        {
            "to": [
                {
                    "sftp": {
                        "host": "fd00::1",
                        "user": "me@corp",
                        "known_hosts": "a ssh-rsa b\n# c\n@revoked * ssh-rsa d\n",
                    }
                }
            ]
        },
    ],
    "kube_reserved": [{"kube_memory": "500Mi", "kube_cpu": "250m"}, {"system_memory": "1.5Gi", "system_cpu": "0.5"}],
    "kubelet_config": [
        {"allowedUnsafeSysctls": ["net.core.somaxconn", "net.ipv4.*", "net/ipv4/ip_forward"], "address": "0.0.0.0"},
        {"resolvConf": "", "tlsCipherSuites": ["TLS_AES_128_GCM_SHA256"], "reservedSystemCPUs": "0-1,4"},
        {"logging": {"format": "json", "verbosity": 2, "flushFrequency": "5s"}},
        {"maxPods": 100, "evictionHard": {"memory.available": "5%", "pid.available": "1k"}},
        {"syncFrequency": "1m30s", "featureGates": {"NodeSwap": True}, "clusterDNS": ["10.96.0.10"]},
        {"memorySwap": {"swapBehavior": "LimitedSwap"}, "reservedMemory": [{"numaNode": 0, "limits": {"memory": 1}}]},
        {"authentication": {"webhook": {"cacheTTL": "2m"}}, "oomScoreAdj": -999, "nodeStatusMaxImages": -1},
    ],
    "kubeadm_cluster_config": [
        {"apiServer": {"extraArgs": [{"name": "feature-gates", "value": "AllAlpha=false,NodeSwap=true"}]}},
        {
            "apiServer": {
                "extraArgs": [{"name": "audit_log_path", "value": "/x"}, {"name": "profiling", "value": "false"}]
            }
        },
        {"apiServer": {"extraArgs": [{"name": "service-node-port-range", "value": "30000+100"}]}},
        {
            "scheduler": {"extraArgs": [{"name": "bind-address", "value": "0.0.0.0"}]},
            "imageRepository": "r.example:5000/k8s",
        },
        {"etcd": {"local": {"extraArgs": [{"name": "listen-metrics-urls", "value": "http://0.0.0.0:2381"}]}}},
        {"apiServer": {"extraArgs": [{"name": "v", "value": "4"}]}, "featureGates": {"RootlessControlPlane": False}},
        {"etcd": {"external": {"endpoints": ["https://10.0.0.50:2379"], "caFile": "/etc/ssl/ca.crt"}}},
        {"etcd": {"local": {"dataDir": "/data/etcd"}}, "certificateValidityPeriod": "8760h", "dns": {"imageTag": "v1"}},
    ],
    "kubeadm_init_config": [{"skipPhases": ["addon/coredns"], "timeouts": {"discovery": "5m0s"}}],
    "kubeadm_join_config": [{"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": "2"}]}}],
    "kubeadm_proxy_config": [
        {"nodePortAddresses": ["primary"], "metricsBindAddress": "[::]:10249"},
        {"nodePortAddresses": ["10.0.0.5/24"]},
        {"conntrack": {"maxPerCore": 0}, "ipvs": {"strictARP": True}, "metricsBindAddress": ""},
    ],
    "kubeadm_ignore_preflight_errors": [["NumCPU", "Port-6443", "DirAvailable--etc-kubernetes-manifests", "all"]],
    "kube_manifests": [[{"name": "a", "content": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n"}]],
    "kube_workers_at_once": ["1", "20%", "100%", 3],
    "kube_clock_tolerance": [30, 0.5],
    "kubeadm_timeout": [0, 900],
    "k3s_install_script": [{"checksum": "a" * 64, "url": "https://get.k3s.io"}],
    "k3s_server_url": ["", "https://k3s.example.com:6443"],
    "kube_network": [
        {"options": {"image": "registry.example:5000/a/b-c:v1.2"}},
        {"options": {"image": "docker.io/cloudnativelabs/kube-router"}},
        {"options": {"mtu": 1400}},
        {"options": {"mtu": "9000", "args": ["--v=1"], "image": "r/a:1@sha256:0"}},
    ],
    "kube_node_labels": [{"gpu": True, "n": 1, "empty": "", "none": None, "example.com/pool": "a_b.c"}],
    "kube_registries": [
        {"mirrors": {"localhost": {"endpoints": ["http://m.example"]}, "build:5000": {}}},
        {"mirrors": {"*": {"endpoints": ["https://m.example"]}, "docker.io": {}, "[fd00::1]:5000": None}},
        {"configs": {"registry.lan:5000": {"username": "u", "password": "5"}, "a-b.example": {}}},
    ],
    "kube_hooks": [{"before_node": "/srv/hooks/x.yml"}, {}],
    "k3s_token": ["", "K10%s::server:x" % ("ab" * 32), "p@ss:w0rd"],
    "k3s_helm_charts": [[{"name": "lb", "repo": "https://charts.example", "namespace": "lb", "timeout": "10m"}]],
    "k3s_timeout": [0, 30],
}
BAD = {
    "kube_version": [
        "01.36.3",
        "1.036",
        "1.36.03",
        "9.9.9",
        "2.0",
        "latest",
        "1",
        "1.36.99",
        "1.36.3\n",
        " 1.36",
        "1.36.3-rc1+k3s1",
        "v1.36.3+rke2r1",
        "1.36.3+k3s",
        "v1.36+k3s1",
    ],
    "kube_cluster_name": [1.30, "My Cluster!", "", "-a", "a" * 64, "kubernetes\n", "a\nb"],
    "kube_cluster_domain": [
        "10.96.0.10",
        "1234",
        "k8s.localhost",
        ".local.",
        "Cluster.Local",
        "",
        "a..b",
        "my_cluster.local",
        "cluster.local.",
        "cluster.local\n",
        "a" * 64 + ".local",
    ],
    "kube_api_endpoint": [
        {"mode": "external", "address": "https://api.example.com"},
        {"mode": "external", "address": "https://api.example.com:6443"},
        {"mode": "external", "address": "api.example.com:6443"},
        {"mode": "external", "address": "0.0.0.0"},
        {"address": "224.0.0.18"},
        {"address": "10.0.0.100/24"},
        {"interface": "a very long interface"},
        {"port": 0},
        {"port": 99999},
        {"port": 10250},
        {"virtual_router_id": 300},
        {"virtual_router_id": 0},
        {"password": "ninechars"},
        {"password": "a b"},
        {"address": "10.0.0"},
        {"address": "a b"},
        {"mode": "vipp"},
        {"prot": 1},
    ],
    "kube_api_port": [0, -1, 65536, 99999, 10250, 2379, "https", 6443.5, True],
    "kube_api_sans": [
        ["*.10.0.0.1"],
        ["https://api.example.com"],
        ["a b"],
        "a b",
        [""],
        ["10.0.0.0/8"],
        ["a.b."],
        ["api.example.com\n"],
        ["*"],
    ],
    "kube_pod_cidrs": [["10.244.0.5/16"], ["pods"], ["10.244.0.0/33"], [5]],
    "kube_node_name": ["UPPER", "a_b", "-a", "a\n", "a" * 64],
    "kube_node_ip": [
        "http://10.0.0.11",
        "10.0.0.5\n",
        "10.0.0",
        "300.1.1.1",
        "10.0.0.5/24",
        "a very long interface name",
    ],
    "kube_node_taints": [["gpu"], ["a=b:Never"], [{"key": "a"}], ["a=b:NoSchedule", "a=c:NoSchedule"]],
    "kube_artifacts": [
        {"versions": {"containerd": "9.9.9"}},
        {"versions": {"crictl": "v2.0.0"}},
        {"url": "https://mirror.example"},
        {"containerd": "2.2.9"},
        {"source": "mirror.example"},
        {"source": "ftp://mirror.example"},
        {"source": "https://user:secret@mirror.example"},
        {"versions": {"containerd": "nope"}},
        {"versions": {"containerd": "1.7.27"}},
        {"versions": {"runc": "1"}},
        {"versions": {"helm": "1.2.3"}},
        {"checksums": {"kubeadm": "0" * 64}},
        {"checksums": {"https://x.example/y": "abc"}},
    ],
    "kube_http_proxy": [
        {"http_proxy": "http://proxy:3128"},
        {"no_proxy": ["10.*"]},
        {"no_proxy": ["a;b"]},
        {"no_proxy": ["10.0.0.1-10.0.0.9"]},
        {"http": "proxy:3128"},
        {"http": "socks5://proxy"},
        {"http": "http://pro xy:3128"},
        {"http": "http://proxy:3128\n"},
        {"http": "http://user:pa/ss@proxy:3128"},
        {"http": "http://proxy:99999"},
        {"http": "http://my_proxy!:3128"},
        {"no_proxy": ["http://a"]},
        {"no_proxy": ["10.0.0.1/8"]},
    ],
    "kube_data_dir": [
        "/var/lib/rancher/k3s",
        "/data/rancher/k3s/",
        "/var/lib/kubewright",
        "data",
        "/",
        "//",
        "/data/../etc",
        "~/data",
        "/srv/k3s data",
        "/data\n",
        "/etc",
        "//proc/x",
        "/tmp/k",
        "/dev/shm",
        "/run",
        "/var/lib/kubelet",
        "/var/lib/etcd/x",
    ],
    "kube_reserved": [
        {"kube_memory": "10%"},
        {"kube_memory": "500MB"},
        {"kube_memory": "lots"},
        {"kube_cpu": "-1"},
        {"kube_memory": "1,5Gi"},
        {"kube_memory": "500m"},
        {"system_memory": "500"},
        {"system_memory": "500 Mi"},
    ],
    "kubelet_config": [
        {"featureGates": {"nodeSwap": True}},
        {"featureGates": {"DoesNotExist": True}},
        {"evictionHard": {"memory.available": "150%"}},
        {"resolvConf": "resolv.conf"},
        {"volumePluginDir": "~/x"},
        {"registerWithTaints": [{"key": "a"}]},
        {"registerWithTaints": [{"key": "a", "effect": "noschedule"}]},
        {"tlsCipherSuites": ["TLS_FOO"]},
        {"allowedUnsafeSysctls": ["net.core somaxconn"]},
        {"reservedSystemCPUs": "abc"},
        {"logging": {"format": "xml"}},
        {"address": "foo"},
        {"maxPod": 100},
        {"MaxPods": 100},
        {"evictonHard": {}},
        {"zzz": 1},
        {"maxPods": "many"},
        {"maxPods": "200"},
        {"maxPods": -1},
        {"maxPods": True},
        {"maxPods": 1.5},
        {"evictionHard": "5%"},
        {"evictionHard": {"memory.avail": "5%"}},
        {"evictionHard": {"memory.available": "lots"}},
        {"evictionHard": {"memory.available": 100}},
        {"evictionSoftGracePeriod": {"memory.available": 30}},
        {"featureGates": ["A"]},
        {"featureGates": {"NodeSwap": "true"}},
        {"clusterDNS": "10.96.0.10"},
        {"syncFrequency": "1 minute"},
        {"syncFrequency": 60},
        {"port": 70000},
        {"cpuManagerPolicy": "Static"},
        {"authentication": {"anonymous": {"enable": False}}},
        {"authentication": True},
        {"registerWithTaints": {"key": "a"}},
        {"registerWithTaints": [{"key": "a", "efect": "NoSchedule"}]},
        {"failSwapOn": "no"},
        {"oomScoreAdj": 2000},
    ],
    "kubeadm_cluster_config": [
        {"apiServer": {"extraArgs": [{"name": "--v", "value": "4"}]}},
        {"apiServer": {"extraArgs": [{"name": "v=4", "value": ""}]}},
        {"apiServer": {"extraArgs": [{"name": "v"}]}},
        {"apiServer": {"extraArgs": [{"value": "4"}]}},
        {"apiServer": {"extraArgs": [{"name": "does-not-exist", "value": "x"}]}},
        {"apiServer": {"extraArgs": [{"name": "feature-gates", "value": "NodeSwp=true"}]}},
        {"apiServer": {"extraArgs": [{"name": "feature-gates", "value": "NodeSwap=yes"}]}},
        {"apiServer": {"extraArgs": [{"name": "service-node-port-range", "value": "20000-10000"}]}},
        {"etcd": {"local": {"extraArgs": [{"name": "quota-backend-bytes", "value": "8Gi"}]}}},
        {"apiServer": {"extraVolumes": [{"name": "a", "hostPath": "/x"}]}},
        {"apiServer": {"extraVolumes": [{"name": "a", "hostPath": "x", "mountPath": "/y"}]}},
        {"imageRepository": "https://registry.example"},
        {"imageRepository": "registry.example/"},
        {"featureGates": {"Foo": True}},
        {"dns": {"imageRepository": "https://x"}},
        {"foo": 1},
        {"apiserver": {}},
        {"apiServer": "x"},
        {"apiServer": {"extraArg": []}},
        {"apiServer": {"extraArgs": {"v": "4"}}},
        {"apiServer": {"extraArgs": [{"name": "v", "value": 4}]}},
        {"dns": {"type": "CoreDNS"}},
        {"etcd": {"external": {"endpoints": ["10.0.0.50:2379"]}}},
        {"etcd": {"external": {"endpoints": "https://10.0.0.50:2379"}}},
        {"encryptionAlgorithm": "RSA"},
        {"certificateValidityPeriod": "1y"},
    ],
    "kubeadm_init_config": [
        {"skipPhases": ["adon/coredns"]},
        {"patches": {"directory": "patches"}},
        {"nodeRegistration": {"kubeletExtraArgs": [{"name": "max_pod", "value": "9"}]}},
        {"foo": 1},
        {"skipPhases": "addon"},
    ],
    "kubeadm_join_config": [{"nodeRegistration": {"foo": 1}}, {"timeouts": {"discovery": 300}}],
    "kubeadm_proxy_config": [
        {"nodePortAddresses": ["foo"]},
        {"metricsBindAddress": "0.0.0.0:99999"},
        {"bindAddress": "foo"},
        {"logging": {"format": "xml"}},
        {"iptabels": {}},
        {"conntrack": {"maxPerCore": "0"}},
        {"oomScoreAdj": -2000},
    ],
    "kubeadm_ignore_preflight_errors": [["a b"], [""]],
    "kube_registries": [
        {"mirrors": {"docker": {"endpoints": ["https://m.example"]}}},
        {"docker.io": {"endpoints": ["https://m.example"]}},
        {"mirrors": {"https://docker.io": {"endpoints": ["https://m.example"]}}},
        {"mirrors": {"ghcr.io/org": {"endpoints": ["https://m.example"]}}},
        {"mirrors": {"docker.io": {"endpoints": ["https://m.example"], "override_path": "yes"}}},
        {"configs": {"https://index.docker.io/v2/": {"token": "x"}}},
        {"configs": {"Registry.LAN": {"token": "x"}}},
        {"configs": {"registry.lan/": {"token": "x"}}},
        {"configs": {"registry.lan": {"username": 5, "password": "x"}}},
        {"configs": {"registry.lan": {"insecure_skip_verify": "no"}}},
    ],
    "kube_hooks": [{"before_node": "hooks/x.yml"}, {"after_nodes": "/x.yml"}],
    "kube_network": [
        {"mtu": 1400},
        {"options": {"image": "https://docker.io/x"}},
        {"options": {"image": "a//b"}},
        {"options": {"mtu": "x"}},
        {"options": {"mtu": 100000}},
        {"options": {"mtu": True}},
        {"options": {"args": "--v=1"}},
        {"options": {"args": [1]}},
        {"options": {"image": "a b"}},
    ],
    "kube_node_labels": [
        {1.1: "a"},
        {"a b": "c"},
        {"version": 1.10},
        {"a": "b c"},
        {"a": "b\n"},
        {"kubernetes.io/hostname": "x"},
        {"node-role.kubernetes.io/control-plane": ""},
    ],
    "kube_service_cidrs": [["127.0.0.0/16"], ["224.0.0.0/16"], ["169.254.0.0/16"], ["0.0.0.0/8"], ["fe80::/64"]],
    "k3s_token": [12345, "two words"],
    "k3s_binary": ["k3s", "/opt/my k3s"],
    "local_memory": ["lots", "4Gi", "4096", "0"],
    "backup_keep": [-1, "20d"],
    "backup_dir": ["s3://bucket/x"],
    "backup_check": ["https://x.example/y.tar"],
    "restore_archive": ["S3://bucket/x", "s3:/bucket/x", "s3://bucket", "https://x.example/y.tar"],
    "remove_timeout": [0, -1, 99999999],
    "upgrade_timeout": [0, -1],
    "local_image": ["https://x", "a b"],
    "local_network": ["My Net", "host", "bridge"],
    "local_subnet": ["10.1.0.0/30", "8.8.8.0/24", "fd00::/64", "10.1.0.1/24"],
    "local_cpus": [0, "two"],
    "local_nodes": [
        [{"name": "x", "env": {"A": ["b"]}}],
        [{"name": "x", "role": "kube_node"}],
        [{"name": "x"}, {"name": "x"}],
    ],
    "kube_manifests": [
        [{"name": "A_B", "src": "x.yml"}],
        [{"name": "a", "content": "{{{"}],
        [{"name": "a", "content": "just text"}],
        [{"name": "a", "content": "# nothing\n"}],
        [{"name": "a", "content": "apiVersion: v1\nkind: Pod\nmetadata: {}\n"}],
        [{"name": "a", "content": "apiVersion: v1\nkind: Pod\n"}],
        [{"src": "x.yml"}],
        ["text"],
    ],
    "kube_workers_at_once": ["0", "120%", "some", "", "1\n"],
    "kube_clock_tolerance": [-5, 0, 1e9, "nan", "inf"],
    "kubeadm_timeout": [5, -1],
    "k3s_install_script": [{"checksum": "abc"}, {"url": "get.k3s.io"}],
    "k3s_server_url": ["http://k3s.example.com:6443", "k3s.example.com"],
    "k3s_helm_charts": [
        [{"name": "lb", "version": 1.1}],
        [{"name": "lb", "targetNamespace": "x"}],
        [{"name": "lb", "job_image": "https://x"}],
        [{"name": "LB"}],
        [{"name": "lb", "repo": "charts.example"}],
        [{"name": "lb", "timeout": "ten"}],
        [{"name": "lb", "repo_ca": "/etc/ssl/ca.crt"}],
        [{"name": "lb", "chart_content": "%%%"}],
        [{"name": "lb", "values_secrets": [{"name": "A B", "keys": ["x"]}]}],
        [{"name": "lb", "auth_secret": "A"}],
    ],
    "kube_journald": [True],
    "kube_distribution": [["k3s"]],
    "kube_backup": [
        {"schedule": 750},
        {"to": [{"sftp": "b.example"}]},
        {"directory": "/srv/x"},
        {"to": [{"sftp": {"host": "b.example", "known_hosts": "SHA256:abc"}}]},
        {"to": [{"sftp": {"host": "b.example", "known_hosts": "/root/.ssh/known_hosts"}}]},
        {"to": [{"sftp": {"host": "b.example", "path": "~/backups"}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "a", "secret_key": 83}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "a b", "secret_key": "b"}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "", "secret_key": "b"}}]},
        {"to": [{"s3": {"bucket": "", "access_key": "a", "secret_key": "b"}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "a", "secret_key": "b", "prefix": "a//b"}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "a", "secret_key": "b", "prefix": "../x"}}]},
        {"to": [{"s3": {"bucket": "b1", "access_key": "a", "secret_key": "b", "region": "EU Central"}}]},
    ],
    "k3s_timeout": [1],
    "k3s_join_token": [1e5],
    "local_ports": [["8080:80:90"], ["70000:80"], ["0:80"], ["1.2.3:8080:80"], ["8080:80", "8080:81"], [133342]],
    "backup_passphrase": [342391],
}

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
GOOD_MANIFESTS = [
    MANIFEST + "data: {a: '1', b: 12:30, c: 2024-01-01}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {a: b, c: ''}, annotations: {a: '1', b: 'x y'}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: YWI=}\nstringData: {b: c}\n",
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:X'}\n",
    MANIFEST + "---\n" + MANIFEST.replace("name: x", "name: x, namespace: y"),
    "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
    "spec: {containers: [{name: a, env: [{name: B, value: '1'}, {name: C}]}]}\n",
    "apiVersion: stable.example.com/stable\nkind: Thing\nmetadata: {name: x}\nspec: {env: [{name: a, value: 1}]}\n",
]
BAD_MANIFESTS = [
    (MANIFEST.replace("name: x", "name: X_Y"), "X_Y"),
    (MANIFEST.replace("v1", "apps"), "apps"),
    (MANIFEST.replace("name: x", "name: x, namespace: 5"), '"5"'),
    (MANIFEST.replace("name: x", "name: x, labels: [a]"), "labels"),
    (MANIFEST.replace("name: x", "name: x, labels: {a: true}"), '"a"'),
    (MANIFEST.replace("name: x", "name: x, labels: {a: b c}"), "a=b c"),
    (MANIFEST.replace("name: x", "name: x, annotations: {a: 1}"), '"a"'),
    (MANIFEST + "data: {port: 80}\n", '"port"'),
    (MANIFEST.replace("ConfigMap", "Secret") + "data: {p: not-base64}\n", '"p"'),
    (MANIFEST.replace("ConfigMap", "Secret") + "stringData: {p: 0644}\n", '"p"'),
    (MANIFEST + "---\n" + MANIFEST, "twice"),
    (MANIFEST.replace("ConfigMap", "Namespace").replace("name: x", "name: x.y"), "x.y"),
    ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: x}\n", "kustomize"),
    (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
        "spec: {template: {spec: {containers: [{name: a, env: [{name: PORT, value: 80}]}]}}}\n",
        '"PORT"',
    ),
]


@pytest.mark.parametrize("content", GOOD_MANIFESTS)
def test_a_manifest_that_the_api_takes(content):
    assert schema.validate({"kube_manifests": [{"name": "a", "content": content}]})[1] == []
    item = {"name": "a", "content": content}
    assert auto_deploy.problems({"k3s_manifests": [item], "k3s_helm_charts": [], "k3s_helm_configs": []}) == []


@pytest.mark.parametrize(("content", "named"), BAD_MANIFESTS)
def test_a_manifest_that_the_api_refuses_is_refused_before_anything_is_changed(content, named):
    found = schema.validate({"kube_manifests": [{"name": "a", "content": content}]})[1]
    assert len(found) == 1 and named in found[0].text.replace("\\", "")
    item = {"name": "a", "content": content}
    own = auto_deploy.problems({"k3s_manifests": [item], "k3s_helm_charts": [], "k3s_helm_configs": []})
    assert named == "twice" or [finding.id for finding in own] == ["k3s_manifest.invalid"]


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("kube_http_proxy", {"HTTP_PROXY": "x"}, "mean http?"),
        ("kube_http_proxy", {"httpsProxy": "x"}, "mean https?"),
        ("kube_http_proxy", {"noProxy": "x"}, "mean no_proxy?"),
        ("kube_network", {"mtu": 1400}, "mean kube_network.options.mtu?"),
        ("kube_artifacts", {"runc": "1.4.3"}, "mean kube_artifacts.versions.runc?"),
        ("kube_backup", {"directory": "/srv"}, "mean kube_backup.to[].directory?"),
        ("kube_registries", {"docker.io": {}}, "in its mirrors or configs"),
        ("k3s_helm_charts", [{"name": "a", "targetNamespace": "b"}], "mean namespace?"),
        ("kube_api_endpoint", {"virtualRouterId": 5}, "mean virtual_router_id?"),
    ],
)
def test_an_unknown_key_gets_the_one_that_is_meant(name, value, hint):
    found = schema.validate({name: value})[1]
    assert [finding.id for finding in found] == ["inputs.unknown"] and hint in found[0].text


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ({"kubelet-arg": ["max-pods=50", "--v=2", "feature-gates=NodeSwap=true"]}, True),
        ({"kubelet-arg+": "max-pods=50", "kube-proxy-arg": ["proxy-mode=nftables"]}, True),
        ({"kube-apiserver-arg": ["tls-cipher-suites+=TLS_AES_128_GCM_SHA256"], "etcd-arg": ["snapshot-count=9"]}, True),
        ({"kubelet-arg": ["max-pods 50"]}, False),
        ({"kubelet-arg": ["max-pod=50"]}, False),
        ({"kube-apiserver-arg": ["enable-admission-plugins = X"]}, False),
        ({"kubelet-arg": ["feature-gates=NodSwap=true"]}, False),
        ({"etcd-arg": ["quota-backend-bytes=8Gi"]}, False),
    ],
)
def test_arguments_in_k3s_config(given, good):
    assert (schema.validate({"k3s_config": given})[1] == []) == good


def run(name, value):
    """Validate an option of a playbook."""
    return schema.run_options(name.partition("_")[0], {name: value})


def cases(table):
    return [
        pytest.param(name, value, id="%s-%s" % (name, str(value)[:30]))
        for name, values in table.items()
        for value in values
    ]


@pytest.mark.parametrize(("name", "value"), cases(GOOD))
def test_what_can_work_is_accepted(name, value):
    _values, problems = schema.validate({name: value})
    assert problems == []


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_what_cannot_work_is_one_refusal_with_the_name_and_a_way_out(name, value):
    _values, problems = schema.validate({name: value}) if name in schema.specification() else run(name, value)
    assert (
        len(problems) == 1 and problems[0].text.startswith((name, "unknown")) and problems[0].id.startswith("inputs.")
    )


def test_a_field_that_is_unknown_may_be_of_a_newer_kubernetes():
    found = schema.validate({"kubelet_config": {"zzzBrandNew": 1}, "kube_version": "1.37"})[1]
    assert [finding.value for finding in found] == ["kubelet_config.zzzBrandNew"]
    assert schema.validate({"kubelet_config": {"zzzBrandNew": 1}, "kube_version": "1.38.0"})[1] == []


def test_values_that_may_be_secret_are_not_shown():
    found = schema.validate({"kubeadm_init_config": {"certificateKey": 4711, "bootstrapTokens": "abcdef"}})[1]
    assert len(found) == 2 and "4711" not in repr(found) and "abcdef" not in repr(found)


def test_a_wrong_type_and_a_wrong_form_in_one_input_are_both_said():
    found = schema.validate({"kube_api_endpoint": {"mode": "vipp", "port": 0, "virtual_router_id": "x"}})[1]
    assert sorted(ids(found)) == ["inputs.choice", "inputs.format", "inputs.type"]


def test_everything_is_said_at_once():
    _values, problems = schema.validate(
        {
            "kube_verson": "1.36",
            "kube_api_port": 99999,
            "kube_swap": "maybe",
            "kube_api_endpoint": {"prot": 1},
            "kube_reserved": "x",
        }
    )
    assert sorted(ids(problems)) == [
        "inputs.choice",
        "inputs.format",
        "inputs.type",
        "inputs.unknown",
        "inputs.unknown",
    ]


def test_text_stands_for_what_it_plainly_is():
    values, problems = schema.validate(
        {
            "kube_api_port": " 8443 ",
            "kube_allow_reboot": "yes",
            "kube_swap": False,
            "kube_needs": "air_gap, many_nodes",
            "kube_clock_tolerance": "2.5",
        }
    )
    assert problems == []
    assert (values["kube_api_port"], values["kube_allow_reboot"], values["kube_swap"]) == (8443, True, "off")
    assert (values["kube_needs"], values["kube_clock_tolerance"]) == (["air_gap", "many_nodes"], 2.5)


def test_every_value_has_its_default():
    values, problems = schema.validate({})
    assert problems == [] and values["kube_api_endpoint"]["mode"] is None and values["kube_kubeconfig"]["fetch"] is True


@pytest.mark.parametrize(
    "inputs",
    [
        {"k3s_token": ["hunter2"]},
        {"k3s_datastore_endpoint": {"password": "hunter2"}},
        {"kube_registries": "hunter2"},
        {"kube_http_proxy": {"http": "hunter2@proxy"}},
        {"kube_http_proxy": "http://me:hunter2@proxy:3128"},
        {"kube_artifacts": {"source": "https://me:hunter2@mirror.example"}},
        {"k3s_datastore_tls": "hunter2"},
        {"k3s_config": "token: hunter2"},
        {"kubeadm_init_config": "token: hunter2"},
        {"kube_manifests": [{"name": "a", "content": "hunter2"}]},
        {"kube_manifests": ["hunter2"]},
        {"k3s_helm_charts": [{"name": "a", "values": "hunter2"}]},
    ],
)
def test_no_secret_is_in_a_message(inputs):
    _values, problems = schema.validate(inputs)
    assert problems and "hunter2" not in repr(problems)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("restore_archive", "s3://bucket/prefix/name.tar"),
        ("restore_archive", "/srv/a.tar"),
        ("backup_dir", "./backups"),
        ("backup_keep", 0),
        ("local_ports", ["127.0.0.1:8080:80/tcp", "8080:80/udp", "8081:80", "[::1]:53:53/udp"]),
        ("local_memory", "1.5G"),
        ("local_subnet", "10.131.0.0/24"),
        ("local_image", "localhost/node:1"),
        ("local_nodes", [{"name": "x", "env": {"A_B": 1, "c": None}, "groups": "kube_node"}]),
        ("local_network", "kube_wright.1"),
    ],
)
def test_options_that_can_work(name, value):
    assert run(name, value)[1] == []


def test_misspelt_options_of_playbooks():
    found = schema.unknown(
        [
            "reset_keep_image",
            "verify_fial",
            "plan_htm",
            "local_nam",
            "reset_confirm",
            "plan_json",
            "other",
        ]
    )
    assert [finding.value for finding in found] == ["local_nam", "plan_htm", "reset_keep_image", "verify_fial"]
    assert "did you mean reset_keep_images?" in found[2].text


def test_options_of_every_playbook_are_checked_for_misspelt_names():
    """Those of remove, replace and upgrade once were not: remove_forced was ignored."""
    without = {"write_inputs", "operation"}
    for name in set(schema.run_specification()) - without:
        assert [finding.value for finding in schema.unknown([name + "x"])] == [name + "x"]


def test_a_name_of_another_project_is_not_taken_for_a_misspelt_option():
    names = ["upgrade_cluster_setup", "upgrade_node_confirm", "remove_default_searchdomains", "local_release_dir"]
    assert schema.unknown(names) == []


def test_every_format_belongs_to_an_input():
    known = {**schema.specification(), **schema.run_specification()}
    assert not [
        path for path in formats.FORMATS if path.replace("[", ".").replace("{", ".").partition(".")[0] not in known
    ]
