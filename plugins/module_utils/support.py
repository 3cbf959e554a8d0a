# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's logs and states for whoever looks for the cause of a failure, with secrets masked. Standard library only."""

from __future__ import annotations

import re
import subprocess

MASK = "********"
_BLOCKS = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.S)
_PATTERNS = (
    # kubeadm's bootstrap tokens, certificate keys, K3s tokens, JSON web tokens.
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),
    re.compile(r"\bK10[0-9a-f]{64}::\S+"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)
_NAMED = re.compile(
    r"(?i)((?:[\w.-]*(?:password|passwd|secret|token|api[_-]?key|certificate[_-]?key|client-key-data|private[_-]?key|authorization))[\"']?\s*[:=]\s*[\"']?)((?:basic|bearer)\s+)?([^\s\"',}]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+@")

COMMANDS = (
    "uname -a",
    "uptime",
    "free -m",
    "df -h",
    "ip -br addr",
    "ip route",
    "systemctl --no-pager --failed",
    "systemctl --no-pager status containerd kubelet kube-endpoint kube-endpoint-vip kube-bridge",
    "journalctl --no-pager -n 300 -u kubelet",
    "journalctl --no-pager -n 150 -u containerd",
    "journalctl --no-pager -n 100 -u kube-endpoint -u kube-endpoint-vip -u kube-bridge",
    "/usr/local/bin/crictl ps -a",
    "/usr/local/bin/crictl pods",
    "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s get nodes,pods -A -o wide",
    "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s get events -A --sort-by=.lastTimestamp",
    "cat /etc/containerd/config.toml",
    "cat /var/lib/kubelet/config.yaml",
    "cat /etc/kubernetes/kubelet.conf.d/10-kubewright.conf",
    "cat /etc/kubewright/endpoint/haproxy.cfg",
)


def masked(text: str) -> str:
    """The text without private keys, tokens, passwords and logins."""
    text = _BLOCKS.sub(r"-----BEGIN \1----- " + MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    text = _BEARER.sub(r"\1 " + MASK, text)
    text = _NAMED.sub(lambda found: found.group(1) + MASK, text)
    return _URL.sub(r"\1" + MASK + "@", text)


def bundle(limit: int = 4_000_000) -> str:
    """The output of all commands, one after another, masked."""
    parts = []
    for command in COMMANDS:
        try:
            done = subprocess.run(command.split(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
            output = done.stdout.decode("utf-8", "replace")
        except (OSError, subprocess.SubprocessError) as error:
            output = "%s\n" % error
        parts.append("$ %s\n%s\n" % (command, output))
    return masked("".join(parts))[:limit]
