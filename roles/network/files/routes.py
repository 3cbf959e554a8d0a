# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes to the pods of the other nodes, kept as the cluster's nodes come and go (kube-bridge.service).

Follows the API's list of nodes with the kubelet's own identity. What was known last is kept in a file: after a reboot
the routes are there before the API is. Standard library only.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.parse

KUBECONFIG = "/etc/kubernetes/kubelet.conf"
STATE = "/var/lib/kubewright/routes.json"
# What pods need to leave the cluster (kube-bridge.service loads it). A reload of nftables may take the table away.
NFT = "/usr/sbin/nft"
MASQUERADE = "/etc/kubewright/bridge/masquerade.nft"
# Marks our routes: others are never touched. The number has no name in iproute2's table.
PROTOCOL = "107"
# A watch ends after this many seconds, so that routes which went with their interface come back.
WATCH_SECONDS = 30
SAID = set()


def wanted(nodes, own, pods):
    """Return {pod network: node address} of all nodes but this one, from Node objects; None if this one has no network.

    own: this node's addresses. pods: the networks of all pods, one of each family. Whoever registers a Node writes its
    podCIDRs. So a route leads only to a network within that of all pods, of the size that this node's own has, and a
    network or an address that two Nodes claim belongs to the older one.
    """
    known = sorted(nodes, key=lambda node: (_meta(node, "creationTimestamp"), _meta(node, "name")))
    mine = [node for node in known if set(addresses(node)) & set(own)]
    sizes, taken, routes = {}, set(), {}
    for network in (network for node in mine[:1] for network in networks(node, pods)):
        sizes[network.version] = network.prefixlen
        taken.add(network)
    if not sizes:
        return None
    for node in known:
        gateways = {ipaddress.ip_address(text).version: text for text in reversed(addresses(node))}
        for network in [] if node in mine else networks(node, pods):
            gateway = gateways.get(network.version)
            if gateway and network not in taken and network.prefixlen == sizes.get(network.version):
                taken.add(network)
                routes[str(network)] = gateway
    return routes


def _meta(node, name):
    return str((node.get("metadata") or {}).get(name) or "")


def addresses(node):
    """Return the addresses of a Node object."""
    rows = node.get("status", {}).get("addresses") or []
    return [row["address"] for row in rows if row["type"] == "InternalIP"]


def networks(node, pods):
    """Return the networks of a Node object that lie within those of all pods."""
    return [ipaddress.ip_network(text) for text in node.get("spec", {}).get("podCIDRs") or [] if inside(text, pods)]


def inside(text, pods):
    """Return True if a text is a network within one of the networks of all pods, and not all of it."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return False
    near = [pod for pod in pods if pod.version == network.version]
    return any(network.prefixlen > pod.prefixlen and network.subnet_of(pod) for pod in near)


def difference(present, routes, foreign=()):
    """Arguments of `ip route` that turn the present routes into the wanted ones; both {network: gateway}.

    foreign: networks to which others made a route, which is never replaced.
    """
    gone = [["del", network, "proto", PROTOCOL] for network in sorted(set(present) - set(routes))]
    new = [
        ["replace", network, "via", gateway, "proto", PROTOCOL]
        for network, gateway in sorted(routes.items())
        if present.get(network) != gateway and network not in foreign
    ]
    return gone + new


def present(family):
    """Return our routes in the kernel as {network: gateway}, and the networks of all others. family: -4 or -6."""
    done = subprocess.run(["ip", "-j", family, "route", "show"], stdout=subprocess.PIPE, check=True)
    rows = json.loads(done.stdout or b"[]")
    ours = {row["dst"]: row.get("gateway") for row in rows if str(row.get("protocol")) == PROTOCOL}
    return ours, {row["dst"] for row in rows} - set(ours)


def apply(routes, pods):
    """Set the routes and note them for the next start. routes: None changes nothing."""
    steps = []
    if routes is None:
        return
    for version in sorted({pod.version for pod in pods}):
        family = "-%d" % version
        there, foreign = present(family)
        here = {network: gateway for network, gateway in routes.items() if (":" in network) == (version == 6)}
        say(["not replaced: %s has a route of another program" % network for network in sorted(set(here) & foreign)])
        steps += [[family, "route", *step] for step in difference(there, here, foreign)]
    for step in steps:
        print("ip", *step, flush=True)
        subprocess.run(["ip", *step], check=False)
    if steps or not os.path.exists(STATE):
        os.makedirs(os.path.dirname(STATE), exist_ok=True)
        with open(STATE + ".new", "w", encoding="utf-8") as stream:
            json.dump(routes, stream)
        os.replace(STATE + ".new", STATE)


def say(sentences):
    """Print sentences that were not printed before."""
    for sentence in sentences:
        if sentence not in SAID:
            SAID.add(sentence)
            print(sentence, flush=True)


def restore(pods):
    """Set the routes that were known before a reboot."""
    try:
        with open(STATE, encoding="utf-8") as stream:
            known = json.load(stream)
        apply({network: gateway for network, gateway in known.items() if inside(network, pods)}, pods)
    except (OSError, ValueError, AttributeError):
        pass


def keep_masquerade(pods):
    """Load the tables of the masquerade again if somebody flushed all tables."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    tables = ["ip6" if pod.version == 6 else "ip" for pod in pods]
    if any(
        subprocess.run([NFT, "list", "table", table, "kubewright"], check=False, **quiet).returncode for table in tables
    ):
        print("the table kubewright was gone: loading it again", flush=True)
        subprocess.run([NFT, "-f", MASQUERADE], check=False)


def connect():
    """A connection to the API with the kubelet's identity."""
    with open(KUBECONFIG, encoding="utf-8") as stream:
        text = stream.read()
    server = urllib.parse.urlsplit(re.search(r"server:\s*(\S+)", text).group(1))
    authority = base64.b64decode(re.search(r"certificate-authority-data:\s*(\S+)", text).group(1)).decode()
    context = ssl.create_default_context(cadata=authority)
    context.load_cert_chain(
        re.search(r"client-certificate:\s*(\S+)", text).group(1), re.search(r"client-key:\s*(\S+)", text).group(1)
    )
    return http.client.HTTPSConnection(server.hostname, server.port or 443, timeout=WATCH_SECONDS + 10, context=context)


def ask(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    if answer.status != 200:
        raise ValueError("HTTP %d %s" % (answer.status, answer.read(300).decode("utf-8", "replace")))
    return answer


def follow(own, pods):
    """List the nodes, then follow what becomes of them until the watch ends."""
    connection = connect()
    try:
        listed = json.loads(ask(connection, "/api/v1/nodes").read())
        nodes = {item["metadata"]["name"]: item for item in listed["items"]}
        apply(wanted(nodes.values(), own, pods), pods)
        version = listed["metadata"]["resourceVersion"]
        for line in ask(
            connection, "/api/v1/nodes?watch=true&resourceVersion=%s&timeoutSeconds=%d" % (version, WATCH_SECONDS)
        ):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            name = event["object"]["metadata"].get("name")
            if event["type"] == "DELETED":
                nodes.pop(name, None)
            elif event["type"] in ("ADDED", "MODIFIED"):
                nodes[name] = event["object"]
            apply(wanted(nodes.values(), own, pods), pods)
    finally:
        connection.close()


def main():
    """Follow the API. Arguments: this node's addresses, and the networks of all pods, with commas between."""
    own, pods, last = sys.argv[1].split(","), [ipaddress.ip_network(text) for text in sys.argv[2].split(",")], None
    restore(pods)
    while True:
        try:
            keep_masquerade(pods)
            follow(own, pods)
            last = None
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            # Before the node has joined, and while no API server answers: said once, tried on.
            if str(error) != last:
                print("waiting for the API: %s" % error, flush=True)
            last = str(error)
            time.sleep(1)


if __name__ == "__main__":
    main()
