# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A named cluster of node containers: change it from its current to the wanted state."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import Any, Callable, Dict, List

from ..base.text_files import read_text
from . import nodes as local_nodes
from .engine import Engine, locked, run, together, wait_for_ssh, words
from .host import inotify_shortage, network_create_arguments, run_arguments
from .images import Loader
from .nodes import LocalError

INOTIFY = "/proc/sys/fs/inotify/max_user_instances"
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
# systemd stops in a second or two; a node that takes longer is killed.
STOP_SECONDS = "20"
# What was done, and what check mode reports instead.
WOULD = {
    "built": "would build",
    "gave a new key to": "would give a new key to",
    "loaded": "would load",
    "made": "would make",
    "raised": "would raise",
    "removed": "would remove",
    "started": "would start",
    "stopped": "would stop",
}


class Cluster:
    """One cluster and the requested state. params: the module's parameters."""

    def __init__(self, params: dict[str, Any], engine: Engine, check_mode: bool) -> None:
        self.params = params
        self.engine = engine
        self.check_mode = check_mode
        self.name = params["name"]
        self.network = params["network"]
        self.clusters = os.path.join(params["cache"], "clusters")
        self.directory = os.path.join(self.clusters, self.name or "")
        self.key_file = os.path.join(self.directory, "id_ed25519")
        self.had_key = os.path.exists(self.key_file)
        self.made: List[str] = []
        self.actions: List[str] = []
        self.seconds: Dict[str, float] = {}

    def did(self, verb: str, what: str) -> None:
        """Record an action; in check mode one that would be taken."""
        self.actions.append(f"{WOULD[verb] if self.check_mode else verb} {what}")

    def run(self) -> dict[str, Any]:
        """Return the module's result. Raise LocalError."""
        state = self.params["state"]
        nodes = self._nodes() if state != "listed" else []
        warnings: List[str] = []
        if state == "listed":
            boxes = self.engine.containers(self.network)
        elif self.check_mode:
            boxes, warnings = self._carry_out(state, nodes)
        else:
            with locked(os.path.join(self.clusters, ".lock")):
                boxes, warnings = self._carry_out(state, nodes)
        result = self._result(boxes, warnings)
        if state in ("present", "started"):
            self._finish(result, nodes)
        result["changed"] = bool(self.actions)
        shown = {name: nodes for name, nodes in result["clusters"].items() if state == "listed" or name == self.name}
        result["summary"] = local_nodes.summary(shown, self.actions, None if state == "listed" else self.name)
        return result

    def _nodes(self) -> list[local_nodes.Node]:
        params = self.params
        limits = {"cpus": params["cpus"], "memory": params["memory"]}
        nodes = local_nodes.wanted_nodes(
            self.name, params["control_planes"], params["workers"], params["nodes"], params["ports"], limits
        )
        problems = local_nodes.problems_of(self.name, nodes)
        if params["state"] == "present" and not params["nodes"]:
            problems = local_nodes.count_problems(params["control_planes"], params["workers"]) + problems
        if problems:
            raise LocalError(*problems)
        return nodes

    def _carry_out(self, state: str, nodes: list[local_nodes.Node]) -> tuple[list[local_nodes.Box], list[str]]:
        boxes = self.engine.containers(self.network)
        todo = local_nodes.decide(state, self.name, nodes, boxes)
        if todo["refusals"]:
            raise LocalError(*todo["refusals"])
        if todo["remove"] or state == "absent":
            self._remove(todo["remove"], boxes)
        if todo["stop"]:
            self._each("stopped", todo["stop"], lambda name: self.engine("stop", "-t", STOP_SECONDS, name))
        made = self._make([node for node in nodes if node["name"] in todo["create"]], boxes)
        if todo["start"]:
            self._each("started", todo["start"], lambda name: self.engine("start", name))
        if not self.check_mode:
            return (self.engine.containers(self.network) if self.actions else boxes), todo["warnings"]
        return [box for box in boxes if box["name"] not in todo["remove"]] + made, todo["warnings"]

    def _each(self, verb: str, names: list[str], function: Callable[[str], Any]) -> None:
        """Call a function for all names at the same time, and record it."""
        for name in names:
            self.did(verb, name)
        if not self.check_mode:
            with self._timed(verb):
                together(function, names)

    def _timed(self, what: str) -> _Timer:
        return _Timer(self.seconds, what)

    # -- making ----------------------------------------------------------------------------------------------------

    def _make(self, nodes: list[local_nodes.Node], boxes: list[local_nodes.Box]) -> list[local_nodes.Box]:
        """Create these nodes. Return them as containers, for check mode."""
        if not nodes:
            return []
        image = self._image()
        subnet = self._subnet()
        taken = {box["address"] for box in boxes if box["address"] and (box["attached"] or box["cluster"])}
        addresses = local_nodes.allocate(subnet, taken, [node["name"] for node in nodes])
        for node in nodes:
            node["address"] = addresses[node["name"]]
        self.made = [node["name"] for node in nodes]
        for node in nodes:
            self.did("made", f"{node['name']} at {node['address']}")
        if not self.check_mode:
            cluster: Dict[str, Any] = {"name": self.name, "network": self.network, "image": image, "key": self._key()}
            cluster["resolv_conf"] = self._resolv_conf()
            self._allow_inotify(len(boxes) + len(nodes))
            with self._timed("made"):
                together(lambda node: self._create(cluster, node), nodes)
        return [
            {"name": node["name"], "cluster": self.name, "groups": node["groups"], "address": node["address"],
             "image": image, "running": False, "status": "planned"}
            for node in nodes
        ]  # fmt: skip

    def _allow_inotify(self, count: int) -> None:
        """Raise the machine's limit of inotify instances if nodes would fail to start because of it."""
        text = read_text(INOTIFY)
        wanted = inotify_shortage(count, int(text) if text.strip().isdigit() else None)
        if wanted is None:
            return
        try:
            with open(INOTIFY, "w", encoding="utf-8") as file:
                file.write(str(wanted))
        except OSError as error:
            raise LocalError(
                f"{INOTIFY} is {text.strip()}, {count} nodes need {wanted}, and it cannot be raised: {error.strerror}."
            ) from None
        self.did("raised", f"{INOTIFY} from {text.strip()} to {wanted}")

    def _create(self, cluster: dict[str, Any], node: local_nodes.Node) -> None:
        failure = self.engine.failure(*run_arguments(self.engine.host, cluster, node))
        if failure:
            # The half-made container of this call.
            self.engine.failure("rm", "--force", "--volumes", node["name"])
            raise LocalError(f"{node['name']} could not be made: {failure}")

    def _image(self) -> str:
        """Return the image to use. Ours has the digest of its sources in its name, and is built if it is missing."""
        if self.params["image"]:
            return self.params["image"]
        builder = self.params["builder"]
        if not builder:
            raise LocalError("image and builder are both empty: give one of them.")
        image = f"localhost/kubewright-node:{self.params['os']}-{builder_digest(os.path.dirname(builder))}"
        if not self.engine.failure("image", "inspect", image):
            return image
        self.did("built", image)
        if not self.check_mode:
            nodes = os.path.join(self.params["cache"], "nodes")
            with self._timed("built"), locked(os.path.join(nodes, ".lock"), 1200):
                if self.engine.failure("image", "inspect", image):
                    self._build(builder, image, nodes)
        return image

    def _build(self, builder: str, image: str, nodes: str) -> None:
        command = ["sh", builder, SUITES[self.params["os"]], image, nodes, self.engine.program]
        done = run(command)
        log = os.path.join(nodes, "build.log")
        with open(log, "w", encoding="utf-8") as file:
            file.write(done.out + done.err)
        if done.rc != 0:
            raise LocalError(f"The node image could not be built: {words(done.err)} (full log: {log})")

    def _subnet(self) -> str:
        """Return the IPv4 subnet of the network, which is made if it does not exist."""
        networks = self.engine.networks()
        if self.network in networks:
            subnet = next((found for found in networks[self.network] if found and ":" not in found), None)
            wanted = self.params["subnet"]
            if subnet is None or wanted and wanted != subnet:
                raise LocalError(
                    f"The network {self.network} has the subnet {subnet}, wanted is {wanted or 'an IPv4 subnet'}."
                    " Set local_subnet to it, or choose another local_network."
                )
            return subnet
        others = [subnet for subnets in networks.values() for subnet in subnets if subnet]
        subnet = local_nodes.choose_subnet(self.params["subnet"], others + self.engine.host["routes"])
        self.did("made", f"the network {self.network} {subnet}")
        if not self.check_mode:
            self.engine(*network_create_arguments(self.engine.host, self.network, subnet))
        return subnet

    def _key(self) -> str:
        """Return the cluster's public key. The pair is created once, in the cluster's directory."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if not os.path.exists(self.key_file):
            comment = f"kubewright-{self.name}"
            made = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", self.key_file])
            if made.rc != 0:
                raise LocalError(f"ssh-keygen failed: {words(made.err)}")
        with open(f"{self.key_file}.pub", encoding="utf-8") as file:
            return file.read().strip()

    def _resolv_conf(self) -> str | None:
        """Return the path of a resolv.conf for nodes, None for Podman, which needs none: see network_arguments."""
        if self.engine.host["engine"] == "podman":
            return None
        path = os.path.join(self.directory, "resolv.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"nameserver {server}\n" for server in self.engine.host["nameservers"])
        return path

    # -- removing --------------------------------------------------------------------------------------------------

    def _remove(self, names: list[str], boxes: list[local_nodes.Box]) -> None:
        self._each("removed", names, lambda name: self.engine("rm", "--force", "--volumes", *self._at_once(), name))
        if os.path.isdir(self.directory):
            self.did("removed", self.directory)
            if not self.check_mode:
                shutil.rmtree(self.directory)
        left = [box for box in boxes if box["attached"] and box["name"] not in names]
        if names and not left and not self.check_mode:
            self._remove_network()

    def _at_once(self) -> list[str]:
        """Return the flag that kills a node: nothing of it is kept, so it need not shut down."""
        return ["-t", "0"] if self.engine.host["engine"] == "podman" else []

    def _remove_network(self) -> None:
        """Remove the network after its last container, if it is ours."""
        label = '{{index .Labels "' + local_nodes.NETWORK_LABEL + '"}}'
        if self.engine("network", "inspect", "--format", label, self.network).strip() == "local":
            self.engine("network", "rm", self.network)
            self.did("removed", f"the network {self.network}")

    # -- result ----------------------------------------------------------------------------------------------------

    def _result(self, boxes: list[local_nodes.Box], warnings: list[str]) -> dict[str, Any]:
        keys = ("name", "groups", "address", "image", "status", "running")
        clusters: Dict[str, List[Dict[str, Any]]] = {}
        for box in sorted(boxes, key=lambda box: local_nodes.natural(box["name"])):
            if box["cluster"]:
                clusters.setdefault(box["cluster"], []).append({key: box[key] for key in keys})
        return {
            "actions": self.actions,
            "clusters": clusters,
            "nodes": clusters.get(self.name, []),
            "host": self.engine.host,
            "network": {"name": self.network},
            "seconds": self.seconds,
            "warnings": warnings,
        }

    def _finish(self, result: dict[str, Any], nodes: list[local_nodes.Node]) -> None:
        """Wait for SSH, write the inventory, load images."""
        given = {node["name"]: node["groups"] for node in nodes}
        for node in result["nodes"]:
            node["groups"] = given.get(node["name"], node["groups"])
        if not self.check_mode:
            with self._timed("ssh"):
                wait_for_ssh(result["nodes"], self.params["timeout"])
            self._renew_key([node["name"] for node in result["nodes"] if node["name"] not in self.made])
        if self.params["state"] == "present":
            variables = local_nodes.cluster_variables(self.name, self.engine.host, self.params["vars"])
            result["inventory"] = local_nodes.inventory(result["nodes"], variables, self.key_file)
        if self.params["images"]:
            with self._timed("images"):
                running = [node for node in result["nodes"] if node["running"]]
                for image, name in Loader(self.engine, self.check_mode).load(self.params["images"], running):
                    self.did("loaded", f"{image} into {name}")

    def _renew_key(self, names: list[str]) -> None:
        """Give nodes the new key if the old one was lost with the cache."""
        if self.had_key or not names:
            return
        script = f"umask 077; mkdir -p /root/.ssh; echo '{self._key()}' > /root/.ssh/authorized_keys"
        self._each("gave a new key to", names, lambda name: self.engine("exec", name, "sh", "-c", script))


def builder_digest(directory: str) -> str:
    """Return a digest of what the image is built from."""
    digest = hashlib.sha256()
    for name in ("packages", "setup.sh"):
        with open(os.path.join(directory, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:12]


class _Timer:
    """Record the seconds of a block."""

    def __init__(self, seconds: dict[str, float], what: str) -> None:
        self.seconds, self.what, self.begin = seconds, what, time.monotonic()

    def __enter__(self) -> _Timer:
        return self

    def __exit__(self, *_details: object) -> None:
        self.seconds[self.what] = round(time.monotonic() - self.begin, 2)
