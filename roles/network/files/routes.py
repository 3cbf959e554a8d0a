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


def wanted(nodes, own, pods):
    """Return {pod network: node address} of all nodes but this one (whose address is `own`), from Node objects; IPv4.

    pods: the network of all pods. Whoever registers a Node writes its podCIDRs, so no route leads outside of it.
    """
    routes = {}
    for node in nodes:
        networks = [text for text in node.get("spec", {}).get("podCIDRs") or [] if inside(text, pods)]
        addresses = [
            item["address"]
            for item in node.get("status", {}).get("addresses") or []
            if item["type"] == "InternalIP" and ":" not in item["address"]
        ]
        if networks and addresses and addresses[0] != own:
            routes[networks[0]] = addresses[0]
    return routes


def inside(text, pods):
    """Return True if a text is an IPv4 network within the network of all pods, and not all of it."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return network.prefixlen > pods.prefixlen and network.subnet_of(pods)


def difference(present, routes):
    """Arguments of `ip route` that turn the present routes into the wanted ones; both {network: gateway}."""
    gone = [["del", network, "proto", PROTOCOL] for network in sorted(set(present) - set(routes))]
    new = [
        ["replace", network, "via", gateway, "proto", PROTOCOL]
        for network, gateway in sorted(routes.items())
        if present.get(network) != gateway
    ]
    return gone + new


def present():
    """Our routes in the kernel."""
    done = subprocess.run(["ip", "-j", "-4", "route", "show", "proto", PROTOCOL], stdout=subprocess.PIPE, check=True)
    return {item["dst"]: item.get("gateway") for item in json.loads(done.stdout or b"[]")}


def apply(routes):
    """Set the routes and note them for the next start."""
    steps = difference(present(), routes)
    for step in steps:
        print("ip route", *step, flush=True)
        subprocess.run(["ip", "-4", "route", *step], check=False)
    if steps or not os.path.exists(STATE):
        os.makedirs(os.path.dirname(STATE), exist_ok=True)
        with open(STATE + ".new", "w", encoding="utf-8") as stream:
            json.dump(routes, stream)
        os.replace(STATE + ".new", STATE)


def restore(pods):
    """Set the routes that were known before a reboot."""
    try:
        with open(STATE, encoding="utf-8") as stream:
            apply({network: gateway for network, gateway in json.load(stream).items() if inside(network, pods)})
    except (OSError, ValueError, AttributeError):
        pass


def keep_masquerade():
    """Load the table of the masquerade again if somebody flushed all tables."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run([NFT, "list", "table", "ip", "kubewright"], check=False, **quiet).returncode:
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
        apply(wanted(nodes.values(), own, pods))
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
            apply(wanted(nodes.values(), own, pods))
    finally:
        connection.close()


def main():
    own, pods, last = sys.argv[1], ipaddress.IPv4Network(sys.argv[2]), None
    restore(pods)
    while True:
        try:
            keep_masquerade()
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
