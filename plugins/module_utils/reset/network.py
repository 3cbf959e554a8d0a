# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the cluster's part of a host's network away: its links, routes, chains, tables and sets, and nothing else.

Standard library only. No firewall is flushed and no interface of the host is touched: SSH stays.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex

LINKS = ("cni0", "kube-bridge", "kube-dummy-if", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6")
CHAINS = ("KUBE-", "CNI-", "FLANNEL-")
SET = re.compile(r"^(KUBE-|kube-router-|inet6:kube-router-)")
# A rule of kube-router's that names nothing of its own but says what it is for (pkg/controllers/netpol and routing in its source).
KUBE_ROUTER_COMMENT = "allow outbound node port traffic on node interface with which node ip is associated"
NFT_TABLES = (("ip", "kubewright"), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))
FAMILIES = ("-4", "-6")
ROUTE_PROTOCOL = "107"
# kube-router: the protocol of its routes, and the table for what goes through its tunnels (pkg/routing in its source).
KUBE_ROUTER_PROTOCOL, KUBE_ROUTER_TABLE = "17", "77"


def removal(saved):
    """What iptables-restore --noflush needs to take the chains and rules of kube-proxy, kubelet, kube-router and the CNI plugins
    out of the text of iptables-save; empty where there are none. Others' rules are not named: they keep their counters."""
    tables = []
    for line in saved.splitlines():
        if line.startswith("*"):
            tables.append((line, [], []))
        elif _ours(line) and line.startswith(":"):
            tables[-1][1].append(line[1:].split()[0])
        elif _ours(line) and line.startswith("-A ") and not line[3:].startswith(CHAINS):
            tables[-1][2].append("-D" + line[2:])
    lines = []
    for name, chains, rules in tables:
        if chains or rules:
            flushed = [":%s - [0:0]" % chain for chain in chains]
            lines += [name, *flushed, *rules, *("-X " + chain for chain in chains), "COMMIT"]
    return "".join(line + "\n" for line in lines)


def _ours(line):
    if line.startswith(":"):
        return line[1:].startswith(CHAINS)
    words = shlex.split(line)  # a rule's comment is one word, whatever it says
    return any(
        (option in ("-A", "-N", "-j", "-g") and word.startswith(CHAINS))
        or (option == "--match-set" and SET.match(word))
        or (option in ("-i", "-o") and word == "kube-bridge")
        or (option == "--comment" and (word == KUBE_ROUTER_COMMENT or word.startswith("flanneld ")))
        for option, word in zip(words, words[1:])
    )


class Network:
    """The host's network. run(argv, text=None) gives (status, output); note(sentence) says whether to carry a change out."""

    def __init__(self, run, note, pods=()):
        """pods: networks of K3s's pods, whose routes flannel's host-gw leaves behind without a mark of its own."""
        self.run, self.note = run, note
        self.pods = [ipaddress.ip_network(text, strict=False) for text in pods]

    def clean(self):
        self.chains()
        self.tables()
        self.sets()
        self.kube_router()
        self.links()
        self.routes()

    def chains(self):
        for family in ("iptables", "ip6tables"):
            status, saved = self.run([family + "-save"])
            gone = removal(saved) if status == 0 else ""
            if gone and self.note("take the cluster's chains out of %s" % family):
                self.run([family + "-restore", "--noflush"], gone)

    def tables(self):
        status, output = self.run(["nft", "-j", "list", "tables"])
        try:
            there = (
                {
                    (item["table"]["family"], item["table"]["name"])
                    for item in json.loads(output)["nftables"]
                    if "table" in item
                }
                if status == 0
                else set()
            )
        except (ValueError, KeyError):
            there = set()
        for family, name in NFT_TABLES:
            if (family, name) in there and self.note("delete the nftables table %s %s" % (family, name)):
                self.run(["nft", "delete", "table", family, name])

    def sets(self):
        status, output = self.run(["ipset", "list", "-n"])
        for name in output.split() if status == 0 else ():
            if SET.match(name) and self.note("destroy the ipset %s" % name):
                self.run(["ipset", "destroy", name])

    def kube_router(self):
        """Its routes, tunnels and rule, where its bridge says that it was here."""
        if self.run(["ip", "link", "show", "dev", "kube-bridge"])[0]:
            return
        if not self.note("delete kube-router's routes, tunnels and routing rule"):
            return
        tunnels = [
            line.split()[1].split("@")[0].rstrip(":") for line in self.run(["ip", "-o", "link", "show"])[1].splitlines()
        ]
        for name in tunnels:
            if name.startswith("tun-"):
                self.run(["ip", "link", "delete", name])
        for family in FAMILIES:
            self.run(["ip", family, "route", "flush", "proto", KUBE_ROUTER_PROTOCOL])
            self.run(["ip", family, "route", "flush", "table", KUBE_ROUTER_TABLE])
            if KUBE_ROUTER_TABLE in self.run(["ip", family, "rule", "show", "table", KUBE_ROUTER_TABLE])[1]:
                self.run(["ip", family, "rule", "delete", "table", KUBE_ROUTER_TABLE])

    def links(self):
        for name in LINKS:
            if self.run(["ip", "link", "show", "dev", name])[0] == 0 and self.note("delete the interface %s" % name):
                self.run(["ip", "link", "delete", name])

    def routes(self):
        status, output = self.run(["ip", "-4", "route", "show", "proto", ROUTE_PROTOCOL])
        if status == 0 and output.strip() and self.note("delete %d routes to pods" % len(output.splitlines())):
            self.run(["ip", "-4", "route", "flush", "proto", ROUTE_PROTOCOL])
        for family in FAMILIES if self.pods else ():
            for line in self.run(["ip", family, "route", "show"])[1].splitlines():
                if self._to_pods(line) and self.note("delete the route %s" % " ".join(line.split()[:5])):
                    self.run(["ip", family, "route", "delete", *line.split()[:5]])

    def _to_pods(self, line):
        """Whether a line like "10.42.1.0/24 via 10.0.0.12 dev eth0" leads to another node's pods."""
        words = line.split()
        try:
            there = ipaddress.ip_network(words[0])
        except (ValueError, IndexError):
            return False
        return words[1:2] == ["via"] and any(there.version == own.version and there.subnet_of(own) for own in self.pods)
