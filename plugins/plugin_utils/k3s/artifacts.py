# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How K3s gets onto a node: upstream's program, its install script, its archive of images, or a program that is there already.

https://docs.k3s.io/installation/configuration, https://docs.k3s.io/installation/airgap
"""

from __future__ import annotations

import re
from urllib.parse import quote

from . import config as k3s_config

BINARY = "/usr/local/bin/k3s"
SCRIPT = "/etc/kubewright/k3s-install.sh"
# Names of the releases' files: https://github.com/k3s-io/k3s/releases
_FILES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}
# Names by which the program is kubectl, crictl and ctr, made where the node has no such command, as upstream's script does.
LINKS = ["kubectl", "crictl", "ctr"]
_DIGEST = re.compile(r"^(sha256:)?[0-9a-fA-F]{64}$")


def programs(node: dict, cluster: dict) -> list:
    """What a node needs of a release, as items for the module artifacts.

    node: info, inputs. cluster: release ("v1.36.3+k3s1"), shared (the cluster's inputs).
    """
    values, architecture = node["inputs"], node["info"]["architecture"]["name"]
    named, checksums = cluster["release"], values["kube_artifacts"]["checksums"]
    base = "https://github.com/k3s-io/k3s/releases/download/%s/" % quote(named, safe="")
    sums = base + "sha256sum-%s.txt" % architecture
    found = []
    if values["k3s_install_method"] != "existing":
        item = {"component": "k3s", "url": base + _FILES[architecture], "version": named, "dest": BINARY}
        found.append(_checked(item, sums, checksums))
        if values["k3s_install_method"] == "binary":
            found[0]["links"] = LINKS
    if values["k3s_install_method"] == "script":
        item = {"component": "k3s-script", "url": _script_url(values, named), "version": named, "dest": SCRIPT, "mode": "0700"}
        found.append({**item, "checksum": _digest(values["k3s_install_script"]["checksum"])})
    if archived(values, cluster["shared"]["kube_needs"]):
        name = "k3s-airgap-images-%s.tar.zst" % architecture
        place = "%s/agent/images/%s" % (k3s_config.data_dir(values), name)
        item = {"component": "k3s-images", "url": base + name, "version": named, "dest": place, "mode": "0644"}
        found.append(_checked(item, sums, checksums))
    return found


def present(nodes: dict) -> str:
    """The version, as "1.36.3+k3s1", of the program that is there already, where that is what is used; else empty. nodes: {info, inputs} by host."""
    found = {
        str(((node["info"].get("installed") or {}).get("k3s") or {}).get("version") or "").lstrip("v")
        for node in nodes.values()
        if node["inputs"]["k3s_install_method"] == "existing"
    }
    return found.pop() if len(found) == 1 else ""


def archived(values: dict, needs: list) -> bool:
    """Whether a node gets K3s's images as an archive, and pulls none of them."""
    return values["k3s_images"] == "archive" or values["k3s_images"] == "auto" and "air_gap" in needs


def script(node: dict, unit_path: str, environment: str) -> dict:
    """The script with the files that it leaves, {path, makes, perhaps}; empty where none is run. unit_path: of the service that it makes;
    environment: where that has its variables.

    perhaps: what it makes where there is no such thing.
    """
    if node["inputs"]["k3s_install_method"] != "script":
        return {}
    service = unit_path.rsplit("/", 1)[-1].removesuffix(".service")
    places = ["/usr/local/bin/k3s-killall.sh", "/usr/local/bin/%s-uninstall.sh" % service]
    links = ["/usr/local/bin/" + name for name in LINKS]
    return {"path": SCRIPT, "makes": [unit_path, *places], "perhaps": [environment, *links]}


def wrong_script(wanted: dict, programs_wrong: dict, facts: dict) -> list:
    """Why the script is to be run (again): sentences."""
    if not wanted:
        return []
    lacking = [path for path in wanted["makes"] if not (facts.get("files") or {}).get(path)]
    name = wanted["path"].rsplit("/", 1)[-1]
    return [programs_wrong[name]] if name in programs_wrong else ["%s is missing" % path for path in lacking]


def problems(host: str, node: dict, release: str) -> list:
    """What is wrong with the way that a node gets K3s: sentences."""
    values, found = node["inputs"], []
    method, pinned = values["k3s_install_method"], values["k3s_install_script"]
    if method == "script" and not pinned["checksum"]:
        found.append(
            "k3s_install_method script needs k3s_install_script.checksum, the SHA-256 of the script that you have read: "
            "curl -sL %s | sha256sum" % _script_url(values, release)
        )
    elif pinned["checksum"] and not _DIGEST.match(pinned["checksum"]):
        found.append("k3s_install_script.checksum %r is no SHA-256: give its 64 hexadecimal digits" % pinned["checksum"])
    if method != "script" and (pinned["checksum"] or pinned["url"]):
        found.append("k3s_install_script has no meaning with k3s_install_method %s; set that to script, or drop it" % method)
    if method == "existing":
        found += _existing(host, node["info"], values["k3s_binary"], release)
    elif values["k3s_binary"] != BINARY:
        found.append(
            "k3s_binary %s is for k3s_install_method existing; the program is installed as %s" % (values["k3s_binary"], BINARY)
        )
    return found


def _existing(host, info, path, release):
    """Whether the program that is said to be there is, in the wanted version."""
    there = (info.get("installed") or {}).get("k3s") or {}
    if there.get("path") != path:
        seen = "it is at %s: set k3s_binary" % there["path"] if there.get("path") else "install it"
        return ["%s: k3s_install_method existing, and there is no %s; %s, or choose another method" % (host, path, seen)]
    if there.get("version") != release:
        text = "%s: %s is K3s %s, the plan is for %s; set kube_version to %s, or put the wanted one there"
        known = there.get("version") or "of an unknown version"
        return [text % (host, path, known, release, known.lstrip("v"))]
    return []


def _script_url(values, release):
    return values["k3s_install_script"]["url"] or "https://raw.githubusercontent.com/k3s-io/k3s/%s/install.sh" % quote(release, safe="")


def _digest(text):
    return "sha256:" + str(text or "").replace("sha256:", "").lower()


def _checked(item, sums, checksums):
    """The item with the digest that was pinned for it, or where upstream publishes it."""
    pinned = checksums.get(item["url"])
    return {**item, "checksum": _digest(pinned)} if pinned else {**item, "checksum_url": sums}
