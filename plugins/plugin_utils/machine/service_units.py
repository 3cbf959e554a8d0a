# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd units of the services that the collection runs on a node."""

from __future__ import annotations

HEADER = "# Made by kubewright.cluster. Changes belong in a drop-in (systemctl edit).\n"


def containerd(in_container: bool) -> str:
    """containerd.service. In a container limits cannot be raised above the container's own."""
    limits = "" if in_container else "LimitNPROC=infinity\nLimitCORE=infinity\nTasksMax=infinity\nOOMScoreAdjust=-999\n"
    return (
        HEADER
        + """[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target local-fs.target

[Service]
EnvironmentFile=-/etc/kubewright/containerd.env
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
"""
        + limits
        + """
[Install]
WantedBy=multi-user.target
"""
    )


def kubelet() -> str:
    """kubelet.service as kubeadm expects it; it waits for kubeadm instead of failing before.

    https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/kubelet-integration/
    """
    return (
        HEADER
        + """[Unit]
Description=kubelet: the Kubernetes node agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target containerd.service
ConditionPathExists=/var/lib/kubelet/config.yaml

[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml --config-dir=/etc/kubernetes/kubelet.conf.d"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS
Restart=always
StartLimitInterval=0
RestartSec=2

[Install]
WantedBy=multi-user.target
"""
    )


def k3s(role: str, in_container: bool, binary: str = "/usr/local/bin/k3s") -> str:
    """k3s.service or k3s-agent.service, as upstream's script has them; K3s says itself when it is ready.

    https://github.com/k3s-io/k3s/blob/main/install.sh
    """
    server = role == "control_plane"
    name = "k3s" if server else "k3s-agent"
    limits = "" if in_container else "LimitNPROC=infinity\nLimitCORE=infinity\n"
    return (
        HEADER
        + """[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target kube-endpoint.service

[Service]
Type=%(kind)s
EnvironmentFile=-/etc/default/%%N
EnvironmentFile=-/etc/sysconfig/%%N
EnvironmentFile=-/etc/systemd/system/%(name)s.service.env
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
%(limits)sTasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=%(binary)s %(command)s

[Install]
WantedBy=multi-user.target
"""
        % {
            "kind": "notify" if server else "exec",
            "name": name,
            "limits": limits,
            "binary": binary,
            "command": "server" if server else "agent",
        }
    )


def k3s_openrc(role: str, binary: str = "/usr/local/bin/k3s") -> str:
    """/etc/init.d/k3s or k3s-agent for OpenRC's supervise-daemon, with the names and files that upstream's script gives
    it.

    https://github.com/k3s-io/k3s/blob/main/install.sh (create_openrc_service_file)
    """
    command, name = ("server", "k3s") if role == "control_plane" else ("agent", "k3s-agent")
    return """#!/sbin/openrc-run
# Made by kubewright.cluster. Variables belong in /etc/rancher/k3s/%(name)s.env.

description="Lightweight Kubernetes"
supervisor=supervise-daemon
command="%(binary)s"
command_args="%(command)s"
output_log="/var/log/%(name)s.log"
error_log="/var/log/%(name)s.log"
pidfile="/run/%(name)s.pid"
respawn_delay=5
respawn_max=0
rc_ulimit="-n 1048576"

depend() {
    after net
    want cgroups
}

start_pre() {
    modprobe -q br_netfilter || true
    modprobe -q overlay || true
}

set -o allexport
if [ -f /etc/environment ]; then . /etc/environment; fi
if [ -f /etc/rancher/k3s/%(name)s.env ]; then . /etc/rancher/k3s/%(name)s.env; fi
set +o allexport
""" % {"name": name, "binary": binary, "command": command}


def k3s_logrotate(name: str) -> str:
    """OpenRC's services write a log of their own, which somebody has to shorten."""
    return "# Made by kubewright.cluster.\n/var/log/%s.log {\n\tmissingok\n\tnotifempty\n\tcopytruncate\n}\n" % name


def endpoint(config: str) -> str:
    """kube-endpoint.service: HAProxy beside, not in place of, a HAProxy of the host's own."""
    return (
        HEADER
        + """[Unit]
Description=Proxy to the Kubernetes API servers
After=network-online.target
Wants=network-online.target
Before=kubelet.service k3s.service k3s-agent.service

[Service]
Type=notify
RuntimeDirectory=kube-endpoint
ExecStart=/usr/sbin/haproxy -Ws -f %(config)s -p /run/kube-endpoint/haproxy.pid
ExecReload=/usr/sbin/haproxy -c -q -f %(config)s
ExecReload=/bin/kill -USR2 $MAINPID
KillMode=mixed
SuccessExitStatus=143
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
        % {"config": config}
    )


def virtual_address(config: str) -> str:
    """kube-endpoint-vip.service: keepalived with a configuration of its own."""
    return (
        HEADER
        + """[Unit]
Description=Virtual address of the Kubernetes API
After=network-online.target kube-endpoint.service
Wants=network-online.target

[Service]
Type=simple
RuntimeDirectory=kube-endpoint-vip
ExecStart=/usr/sbin/keepalived --dont-fork --log-console --use-file=%(config)s \\
    --pid=/run/kube-endpoint-vip/keepalived.pid --vrrp_pid=/run/kube-endpoint-vip/vrrp.pid
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
        % {"config": config}
    )
