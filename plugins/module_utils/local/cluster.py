# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A named cluster of node containers: from what is there to what is wanted."""

from __future__ import annotations

import hashlib
import os
import shutil
import time

from . import nodes as local_nodes
from .engine import locked, run, together, wait_for_ssh, words
from .host import inotify_shortage, network_create_arguments, read, run_arguments
from .images import Loader
from .nodes import LocalError

INOTIFY = "/proc/sys/fs/inotify/max_user_instances"
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
# systemd stops in a second or two; what hangs longer is killed.
STOP_SECONDS = "20"


class Cluster:
    """Carries out one state for one cluster; `params` are the module's."""

    def __init__(self, params, engine, check_mode):
        self.params = params
        self.engine = engine
        self.check_mode = check_mode
        self.name = params["name"]
        self.network = params["network"]
        self.clusters = os.path.join(params["cache"], "clusters")
        self.directory = os.path.join(self.clusters, self.name or "")
        self.key_file = os.path.join(self.directory, "id_ed25519")
        self.had_key = os.path.exists(self.key_file)
        self.made, self.actions, self.seconds = [], [], {}

    def run(self):
        """The module's result."""
        state = self.params["state"]
        nodes = self._nodes() if state != "listed" else []
        warnings = []
        if state == "listed":
            boxes = self.engine.containers(self.network)
        elif self.check_mode:
            boxes, warnings = self._carry_out(state, nodes)
        else:
            with locked(os.path.join(self.clusters, ".lock")):
                boxes, warnings = self._carry_out(state, nodes)
        result = self._result(boxes, warnings)
        if state in ("present", "started"):
            self._finish(result, nodes, boxes)
        result["changed"] = bool(self.actions)
        told = {name: nodes for name, nodes in result["clusters"].items() if state == "listed" or name == self.name}
        result["summary"] = local_nodes.summary(told, self.actions)
        return result

    def _nodes(self):
        params = self.params
        limits = {"cpus": params["cpus"], "memory": params["memory"]}
        nodes = local_nodes.wanted_nodes(
            self.name, params["control_planes"], params["workers"], params["nodes"], params["ports"], limits
        )
        problems = local_nodes.problems_of(self.name, nodes)
        if problems:
            raise LocalError(*problems)
        return nodes

    def _carry_out(self, state, nodes):
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

    def _each(self, verb, names, function):
        """Does it for all names at once, and says so."""
        self.actions += [f"{verb} {name}" for name in names]
        if not self.check_mode:
            with self._timed(verb):
                together(function, names)

    def _timed(self, what):
        return _Timer(self.seconds, what)

    # -- making ----------------------------------------------------------------------------------------------------

    def _make(self, nodes, boxes):
        """Creates these nodes; what it returns looks like a container, for check mode."""
        if not nodes:
            return []
        image = self._image()
        subnet = self._subnet()
        taken = {box["address"] for box in boxes if box["address"] and (box["attached"] or box["cluster"])}
        addresses = local_nodes.allocate(subnet, taken, [node["name"] for node in nodes])
        for node in nodes:
            node["address"] = addresses[node["name"]]
        self.made = [node["name"] for node in nodes]
        self.actions += [f"made {node['name']} at {node['address']}" for node in nodes]
        if not self.check_mode:
            cluster = {"name": self.name, "network": self.network, "image": image, "key": self._key()}
            cluster["resolv_conf"] = self._resolv_conf()
            self._allow_inotify(len(boxes) + len(nodes))
            with self._timed("made"):
                together(lambda node: self._create(cluster, node), nodes)
        return [
            {"name": node["name"], "cluster": self.name, "groups": node["groups"], "address": node["address"],
             "image": image, "running": False, "status": "planned"}
            for node in nodes
        ]  # fmt: skip

    def _allow_inotify(self, count):
        """Raises the machine's limit of inotify instances where it would end the nodes at their start."""
        text = read(INOTIFY)
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
        self.actions.append(f"raised {INOTIFY} from {text.strip()} to {wanted}")

    def _create(self, cluster, node):
        failure = self.engine.failure(*run_arguments(self.engine.host, cluster, node))
        if failure:
            # The half-made container of this very call: the next one starts afresh.
            self.engine.failure("rm", "--force", "--volumes", node["name"])
            raise LocalError(f"{node['name']} could not be made: {failure}")

    def _image(self):
        """The image to use; ours carries the digest of what it is built from in its name, and is built when it lacks."""
        if self.params["image"]:
            return self.params["image"]
        builder = self.params["builder"]
        if not builder:
            raise LocalError("Neither an image nor a builder for one is given.")
        image = f"localhost/kubewright-node:{self.params['os']}-{builder_digest(os.path.dirname(builder))}"
        if not self.engine.failure("image", "inspect", image):
            return image
        self.actions.append(f"built {image}")
        if not self.check_mode:
            nodes = os.path.join(self.params["cache"], "nodes")
            with self._timed("built"), locked(os.path.join(nodes, ".lock"), 1200):
                if self.engine.failure("image", "inspect", image):
                    self._build(builder, image, nodes)
        return image

    def _build(self, builder, image, nodes):
        command = ["sh", builder, SUITES[self.params["os"]], image, nodes, self.engine.program]
        code, out, err = run(command)
        log = os.path.join(nodes, "build.log")
        with open(log, "w", encoding="utf-8") as file:
            file.write(out + err)
        if code != 0:
            raise LocalError(f"The node image could not be built: {words(err)} (all of it: {log})")

    def _subnet(self):
        """The IPv4 subnet of the network, which is made where it is not there."""
        networks = self.engine.networks()
        if self.network in networks:
            subnet = next((found for found in networks[self.network] if found and ":" not in found), None)
            wanted = self.params["subnet"]
            if subnet is None or wanted and wanted != subnet:
                raise LocalError(f"The network {self.network} has the subnet {subnet}, not {wanted or 'one of IPv4'}.")
            return subnet
        others = [subnet for subnets in networks.values() for subnet in subnets if subnet]
        subnet = local_nodes.choose_subnet(self.params["subnet"], others + self.engine.host["routes"])
        self.actions.append(f"made the network {self.network} {subnet}")
        if not self.check_mode:
            self.engine(*network_create_arguments(self.engine.host, self.network, subnet))
        return subnet

    def _key(self):
        """The public key; made once for the cluster, the private one stays where it is."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if not os.path.exists(self.key_file):
            comment = f"kubewright-{self.name}"
            made = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", self.key_file])
            if made[0] != 0:
                raise LocalError(f"ssh-keygen failed: {words(made[2])}")
        with open(f"{self.key_file}.pub", encoding="utf-8") as file:
            return file.read().strip()

    def _resolv_conf(self):
        """Docker alone needs it: see network_arguments."""
        if self.engine.host["engine"] == "podman":
            return None
        path = os.path.join(self.directory, "resolv.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"nameserver {server}\n" for server in self.engine.host["nameservers"])
        return path

    # -- removing --------------------------------------------------------------------------------------------------

    def _remove(self, names, boxes):
        self._each("removed", names, lambda name: self.engine("rm", "--force", "--volumes", *self._at_once(), name))
        if os.path.isdir(self.directory):
            self.actions.append(f"removed {self.directory}")
            if not self.check_mode:
                shutil.rmtree(self.directory)
        left = [box for box in boxes if box["attached"] and box["name"] not in names]
        if names and not left and not self.check_mode:
            self._remove_network()

    def _at_once(self):
        """Nothing of a removed node is kept: it need not shut down in order."""
        return ["-t", "0"] if self.engine.host["engine"] == "podman" else []

    def _remove_network(self):
        """With the last container goes the network, if it is ours."""
        label = '{{index .Labels "' + local_nodes.CLUSTER_LABEL + '"}}'
        if self.engine("network", "inspect", "--format", label, self.network).strip() == local_nodes.LAB_CLUSTER:
            self.engine("network", "rm", self.network)
            self.actions.append(f"removed the network {self.network}")

    # -- telling ---------------------------------------------------------------------------------------------------

    def _result(self, boxes, warnings):
        keys = ("name", "groups", "address", "image", "status", "running")
        clusters = {}
        for box in sorted(boxes, key=lambda box: local_nodes.natural(box["name"])):
            if box["cluster"] and box["cluster"] != local_nodes.LAB_CLUSTER:
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

    def _finish(self, result, nodes, boxes):
        """All nodes let their user in; images are in; the inventory says how."""
        given = {node["name"]: node["groups"] for node in nodes}
        for node in result["nodes"]:
            node["groups"] = given.get(node["name"], node["groups"])
        if not self.check_mode:
            with self._timed("ssh"):
                wait_for_ssh(result["nodes"], self.params["timeout"])
            self._renew_key([node["name"] for node in result["nodes"] if node["name"] not in self.made])
        if self.params["state"] == "present":
            result["inventory"] = self._inventory(result["nodes"], boxes)
        if self.params["images"]:
            with self._timed("images"):
                running = [node for node in result["nodes"] if node["running"]]
                self.actions += Loader(self.engine, self.check_mode).load(self.params["images"], running)

    def _inventory(self, nodes, boxes):
        lab, extra = self._lab_address(boxes), self.params["vars"]
        variables = local_nodes.cluster_variables(self.name, self.engine.host, lab, extra)
        return local_nodes.inventory(nodes, variables, self.key_file)

    def _renew_key(self, names):
        """Nodes whose key was lost with the cache get the new one."""
        if self.had_key or not names:
            return
        script = f"umask 077; mkdir -p /root/.ssh; echo '{self._key()}' > /root/.ssh/authorized_keys"
        self._each("gave a new key to", names, lambda name: self.engine("exec", name, "sh", "-c", script))

    def _lab_address(self, boxes):
        if self.params["lab"] == "false":
            return None
        lab, name = local_nodes.LAB_CLUSTER, local_nodes.LAB_CONTAINER
        found = [box for box in boxes if box["cluster"] == lab and box["name"] == name and box["attached"]]
        if self.params["lab"] == "true" and not found:
            raise LocalError(f"The container {name} is not on the network {self.network}: start the lab.")
        return found[0]["address"] if found else None


def builder_digest(directory):
    """Digest of what the image is built from."""
    digest = hashlib.sha256()
    for name in ("packages", "setup.sh"):
        with open(os.path.join(directory, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:12]


class _Timer:
    """Adds the seconds of a block to a dictionary."""

    def __init__(self, seconds, what):
        self.seconds, self.what, self.begin = seconds, what, time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *dummy):
        self.seconds[self.what] = round(time.monotonic() - self.begin, 2)
