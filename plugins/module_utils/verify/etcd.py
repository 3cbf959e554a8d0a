# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof of the datastore: every etcd member has started, votes, answers and has no alarm. Standard library only.

https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from ..api.kubernetes import MANIFEST
from ..node import paths as places
from .check import FAIL, OK, WARN, check, tried

QUOTA = 2 << 30  # etcd's own default: https://etcd.io/docs/v3.6/dev-guide/limit/


def flags(manifest=MANIFEST):
    """How the API server reaches etcd: {servers, cafile, certfile, keyfile}; empty without a manifest.

    own: alone, where a member answers such questions to its own node only.
    """
    text = places.text_of(manifest)
    if not text:
        found = places.here()
        return found.etcd() if isinstance(found, places.K3s) else {}
    return dict(re.findall(r"--etcd-(servers|cafile|certfile|keyfile)=(\S+)", text))


class Etcd:
    """Questions to etcd members, with the API server's own certificate."""

    def __init__(self, how, timeout=3):
        self.servers, self.timeout = how["servers"].split(","), timeout
        self.alone, self.mine = how.get("own") == "alone", None
        self.context = None
        if "cafile" in how:
            self.context = ssl.create_default_context(cafile=how["cafile"])
            self.context.check_hostname = False
            self.context.load_cert_chain(how["certfile"], how["keyfile"])

    def ask(self, url, path):
        """The answer of the member at a URL."""
        place = urlsplit(url)
        if place.scheme == "https":
            connection = http.client.HTTPSConnection(
                place.hostname, place.port, timeout=self.timeout, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=self.timeout)
        try:
            connection.request("POST", path, body="{}")
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError("HTTP %d %s" % (answer.status, text[:200]))
        return json.loads(text)

    def members(self):
        """The member list, of the first server that answers."""
        for url in self.servers[:-1]:
            try:
                return self._members(url)
            except (OSError, ValueError, http.client.HTTPException):
                continue
        return self._members(self.servers[-1])

    def _members(self, url):
        answer = self.ask(url, "/v3/cluster/member/list")
        self.mine = (answer.get("header") or {}).get("member_id")
        return answer.get("members") or []

    def status(self, member, deadline):
        """(status of a member, or None, why not)."""
        urls = member.get("clientURLs") or []
        if not urls:
            return None, "it has not started"
        if not self.alone:
            return tried(deadline, lambda: self.ask(urls[0], "/v3/maintenance/status"))[:2]
        if member.get("ID") == self.mine:
            return tried(deadline, lambda: self.ask(self.servers[0], "/v3/maintenance/status"))[:2]
        return tried(deadline, lambda: self.reached(urls[0]))[:2]

    def reached(self, url):
        """{reached} where a member takes our certificate. Its votes and alarms are in what our own member says."""
        place = urlsplit(url)
        plain = socket.create_connection((place.hostname, place.port), self.timeout)
        with self.context.wrap_socket(plain, server_hostname=place.hostname):
            return {"reached": True}


def etcd_checks(how, control_planes, deadline, timeout=3):
    """All checks. how: flags(). control_planes: names of the nodes that should each have a member when etcd is stacked.

    timeout: seconds for one answer of a member.
    """
    if not how.get("servers"):
        return []
    try:
        etcd = Etcd(how, timeout)
    except (OSError, KeyError, ValueError) as error:
        return [check("etcd", FAIL, "its certificates cannot be read: %s" % error)]
    members, problem, _ms = tried(deadline, etcd.members)
    if problem:
        look = "`journalctl -u k3s`" if etcd.alone else "`crictl ps -a --name etcd` and its logs"
        hint = "look at %s on the control planes; more than half of the members must run" % look
        return [check("etcd", FAIL, "%s does not answer: %s" % (how["servers"], problem), hint=hint)]
    with ThreadPoolExecutor(max(1, len(members))) as pool:
        answers = list(pool.map(lambda member: etcd.status(member, deadline), members))
    if isinstance(places.here(), places.K3s):
        # K3s names a member after its node and a random number: pkg/etcd/etcd.go, setName.
        members = [{**member, "name": (member.get("name") or "").rpartition("-")[0]} for member in members]
    stacked = any(word in how["servers"] for word in ("127.0.0.1", "localhost", "[::1]"))
    return judge(members, answers, control_planes if stacked else None)


def judge(members, answers, control_planes):
    """Checks from the member list and [(status or None, why)] of each. control_planes: None when etcd is not ours."""
    checks = []
    for member, (status, problem) in zip(members, answers):
        checks += _member(member, status, problem)
    names = {member.get("name") for member in members if member.get("name")}
    for name in sorted(set(control_planes or []) - names):
        checks.append(
            check(
                "etcd", FAIL, "the control plane has no etcd member", name, "run site again: it joins what is missing"
            )
        )
    for name in sorted(names - set(control_planes or names)):
        hint = "if that machine is gone: `etcdctl member list`, then `etcdctl member remove ID`"
        checks.append(check("etcd", FAIL, "the member %s is no control plane of the inventory" % name, hint=hint))
    if not any(item["status"] == FAIL for item in checks):
        known = [status for status, _problem in answers if status and not status.get("reached")]
        size = max([int(status.get("dbSize") or 0) for status in known] or [0])
        versions = ", ".join(sorted({status.get("version") or "?" for status in known}))
        count = "1 member, it votes" if len(members) == 1 else "%d members, all vote" % len(members)
        checks.append(check("etcd", OK, "%s, version %s, %d MiB" % (count, versions, size >> 20)))
    return checks


def _member(member, status, problem):
    name = member.get("name") or (member.get("peerURLs") or ["?"])[0]
    if member.get("isLearner"):
        return [
            check(
                "etcd", FAIL, "the member %s is a learner and has no vote" % name, hint="run site again: it promotes it"
            )
        ]
    if not member.get("name") or status is None:
        hint = "look at `crictl ps -a --name etcd` and its logs there"
        return [check("etcd", FAIL, "the member %s does not answer: %s" % (name, problem), hint=hint)]
    checks = []
    if status.get("reached"):
        return checks
    if int(status.get("leader") or 0) == 0:
        checks.append(
            check("etcd", FAIL, "the member %s knows no leader" % name, hint="more than half of the members must run")
        )
    for alarm in status.get("errors") or []:
        hint = "see https://etcd.io/docs/v3.6/op-guide/maintenance/: compact, defragment, `etcdctl alarm disarm`"
        checks.append(check("etcd", FAIL, "the member %s: %s" % (name, alarm), hint=hint))
    quota = int(status.get("dbSizeQuota") or QUOTA)
    size = int(status.get("dbSize") or 0)
    if size > quota * 0.8 and not checks:
        text = "the member %s holds %d of %d MiB" % (name, size >> 20, quota >> 20)
        checks.append(check("etcd", WARN, text, hint="at the quota it refuses to write: compact and defragment it"))
    return checks
