# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux under K3s: where it is enforcing, K3s is told so and its policy is installed.

https://docs.k3s.io/advanced#selinux-support. Repository and releases are those of upstream's script (setup_selinux and
install_selinux_rpm in https://github.com/k3s-io/k3s/blob/main/install.sh).
"""

from __future__ import annotations

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


def wanted(node: dict) -> bool:
    """Whether K3s is to work with SELinux on this node; selinux in the user's k3s_config wins."""
    wish = (node["inputs"].get("k3s_config") or {}).get("selinux")
    if wish is not None:
        return str(wish).lower() == "true"
    info = node.get("info") or {}
    return info.get("selinux") == "enforcing" and info["os"].get("family") in ("redhat", "suse")


def _lacks_policy(node):
    return wanted(node) and node["info"].get("selinux") == "enforcing" and not node["info"].get("selinux_k3s")


def _installs(node):
    """Whether the policy is installed here: with dnf or yum, from upstream's own repository."""
    info, values = node["info"], node["inputs"]
    plain = info["os"].get("family") == "redhat" and not info.get("usr_read_only")
    return plain and values["kube_artifacts"]["source"] == "upstream" and "air_gap" not in values["kube_needs"]


def packages(node: dict) -> list:
    """Packages that are missing."""
    return list(PACKAGES) if _lacks_policy(node) and _installs(node) else []


def files(node: dict) -> list:
    """The repository's file, where a package is to come from it or came from it before."""
    ours = REPOSITORY in ((node["info"].get("owned") or {}).get("files") or {})
    if not wanted(node) or not (ours or packages(node)):
        return []
    return [{"path": REPOSITORY, "content": _TEXT % {"site": SITE, "release": release(node["info"]["os"])}, "mode": "0644"}]


def release(system: dict) -> str:
    """The release of the policy that fits: 8 for the 8s and for Fedora from 37 on, 9 for the rest, as upstream's script has it."""
    major = str(system.get("version_id") or "").partition(".")[0]
    return "8" if major == "8" or major.isdigit() and int(major) > 36 else "9"


def problems(host: str, node: dict) -> list:
    """Sentences on a node where SELinux is enforcing and K3s would be stopped by it."""
    found = []
    if not wanted(node) or node["info"].get("selinux") != "enforcing":
        return found
    if node["inputs"]["kube_data_dir"]:
        found.append(
            "%s: SELinux is enforcing, and K3s's policy knows /var/lib/rancher alone; leave kube_data_dir out, or set k3s_config.selinux: false (%s)"
            % (host, PAGE)
        )
    if _lacks_policy(node) and not _installs(node):
        found.append(
            "%s: SELinux is enforcing and %s are not installed; install them first (%s), or set k3s_config.selinux: false (%s)"
            % (host, " and ".join(PACKAGES), _from(node["info"]), PAGE)
        )
    return found


def _from(info):
    if info["os"].get("family") == "suse":
        return "zypper install k3s-selinux, in a transactional-update where /usr is read-only"
    if info.get("usr_read_only"):
        return "rpm-ostree install k3s-selinux, from %s, and a reboot" % SITE
    return "from a repository that the node reaches; upstream's is %s" % SITE
