# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux: on enforcing nodes, K3s's switch for it and K3s's policy.

https://docs.k3s.io/advanced#selinux-support. Repository and releases are those of upstream's script (setup_selinux and
install_selinux_rpm in https://github.com/k3s-io/k3s/blob/main/install.sh).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.distribution import File, Node
from ..base.findings import Finding

PAGE = "https://docs.k3s.io/advanced#selinux-support"
REPOSITORY = "/etc/yum.repos.d/rancher-k3s-common.repo"
SITE = "https://rpm.rancher.io"
PACKAGES = ["container-selinux", "k3s-selinux"]
_TEXT = """# Made by kubewright.cluster.
[rancher-k3s-common-stable]
name=Rancher K3s Common (stable)
baseurl=%(site)s/k3s/stable/common/centos/%(release)s/noarch
enabled=1
gpgcheck=1
repo_gpgcheck=0
gpgkey=%(site)s/public.key
"""


def wanted(node: Node) -> bool:
    """Return True if K3s uses SELinux on this node: as in the user's k3s_config, or else if it is enforcing."""
    own = (node["inputs"].get("k3s_config") or {}).get("selinux")
    if own is not None:
        return str(own).lower() == "true"
    info = node.get("info") or {}
    return info.get("selinux") == "enforcing" and info["os"].get("family") in ("redhat", "suse")


def _needs_policy(node: Node) -> bool:
    info = node["info"]
    return wanted(node) and info.get("selinux") == "enforcing" and not info.get("selinux_k3s")


def _installs(node: Node) -> bool:
    """Return True if the policy is installed here: with dnf or yum, from upstream's own repository."""
    info, values = node["info"], node["inputs"]
    writable = info["os"].get("family") == "redhat" and not info.get("usr_read_only")
    return bool(writable and values["kube_artifacts"]["source"] == "upstream" and "air_gap" not in values["kube_needs"])


def packages(node: Node) -> list[str]:
    """Return the packages of the policy if they are missing and can be installed."""
    return list(PACKAGES) if _needs_policy(node) and _installs(node) else []


def files(node: Node) -> list[File]:
    """Return the file of the package repository, if the policy is installed from it now or was before."""
    ours = REPOSITORY in ((node["info"].get("owned") or {}).get("files") or {})
    if not wanted(node) or not (ours or packages(node)):
        return []
    content = _TEXT % {"site": SITE, "release": release(node["info"]["os"])}
    return [{"path": REPOSITORY, "content": content, "mode": "0644"}]


def release(system: Mapping[str, Any]) -> str:
    """Return the release of the policy, as upstream's script: 8 for version 8 and Fedora 37 or later, otherwise 9."""
    major = str(system.get("version_id") or "").partition(".")[0]
    return "8" if major == "8" or major.isdigit() and int(major) > 36 else "9"


def problems(host: str, node: Node) -> list[Finding]:
    """Check that SELinux would not stop K3s on an enforcing node."""
    found: list[Finding] = []
    if not wanted(node) or node["info"].get("selinux") != "enforcing":
        return found
    data_dir = node["inputs"]["kube_data_dir"]
    if data_dir:
        text = (
            "%s: SELinux is enforcing, and K3s's policy needs the data in /var/lib/rancher, got kube_data_dir %s. "
            "Remove kube_data_dir, or set k3s_config: {selinux: false} (%s)."
        ) % (host, data_dir, PAGE)
        found.append(Finding("selinux.data_dir", text, host, data_dir, "/var/lib/rancher"))
    if _needs_policy(node) and not _installs(node):
        text = (
            "%s: SELinux is enforcing, and K3s needs %s, which are not installed. Install them first (%s), "
            "or set k3s_config: {selinux: false} (%s)."
        ) % (host, " and ".join(PACKAGES), _how(node["info"]), PAGE)
        found.append(Finding("selinux.policy_missing", text, host, limit=list(PACKAGES)))
    return found


def _how(info: Mapping[str, Any]) -> str:
    """Return how to install the policy by hand."""
    if info["os"].get("family") == "suse":
        return "zypper install k3s-selinux, in a transactional-update if /usr is read-only"
    if info.get("usr_read_only"):
        return "rpm-ostree install k3s-selinux, from %s, and reboot" % SITE
    return "from a repository that the node can reach; upstream's is %s" % SITE
