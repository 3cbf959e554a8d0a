# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof from one node: out of its own pod to the pods of others, DNS and Services; and from the node itself to the API and registries.

Standard library only. The probe enters the network of the node's verification pod; nothing has to be in the pod's image.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import random
import re
import socket
import ssl
import struct
import time
import urllib.error
import urllib.request

from .detect import cluster, software
from .detect.host import Host
from .kube_api import KUBERNETES
from .verify_cluster import DNS_PORT, HTTP_PORT, check

CLONE_NEWNET = 0x40000000
CERTIFICATE_WARNING_DAYS = 30


def process_of(uid):
    """A process of the pod with this UID, by its control group; None if there is none."""
    marks = (uid, uid.replace("-", "_"))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cgroup" % pid, encoding="utf-8") as stream:
                text = stream.read()
        except OSError:
            continue
        if any(mark in text for mark in marks):
            return int(pid)
    return None


def inside(pid, work):
    """Run work() in the network of a process and return what it returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            handle = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)
            library = ctypes.CDLL(None, use_errno=True)
            if library.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            result = work()
        except Exception as error:  # the child has no other way to tell
            result = [check("pod network", "fail", "cannot be entered: %s" % error)]
        with os.fdopen(writer, "w") as stream:
            json.dump(result, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text or "[]")


def retried(deadline, work):
    """(whether it worked, last answer or error): tried until the deadline, since a new pod's routes take a moment."""
    while True:
        try:
            return True, work()
        except (OSError, ValueError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                return False, error
            time.sleep(0.3)


def http_ok(address, port, path="/health"):
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise ValueError("HTTP %d" % status)


def query(name, kind):
    """A DNS question of one name."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split(".")) + b"\x00"
    return struct.pack("!HHHHHH", random.randrange(65536), 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", kind, 1)


def ask(address, name, kind=1, port=53, tcp=False):
    """Ask a name server; the raw answer. ValueError where it does not know the name."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as channel:
        channel.settimeout(2)
        channel.connect((address, port))
        question = query(name, kind)
        channel.send(struct.pack("!H", len(question)) + question if tcp else question)
        answer = channel.recv(4096)
    answer = answer[2:] if tcp else answer
    code, count = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
    if code or not count and port == 53:
        raise ValueError("answer code %d, %d records" % (code, count))
    return answer


def from_pod(own, own_ip, targets, service_ip, dns_ip, domain, deadline):
    """Checks from within the node's own pod. targets: {node: pod address}."""
    checks = []
    for node, address in sorted(targets.items()):
        good, answer = retried(deadline, lambda address=address: http_ok(address, HTTP_PORT))
        checks.append(check("pod to pod", "ok" if good else "fail", "to %s (%s)%s" % (node, address, "" if good else ": %s; is the pod network let through between the nodes?" % answer), own))
    for node, address in sorted(targets.items())[:1]:
        # whoami answers with the asker's address: between pods it must be the pod's own.
        good, answer = retried(deadline, lambda address=address: ask(address, "who.example", 1, DNS_PORT))
        family = socket.AF_INET6 if ":" in own_ip else socket.AF_INET
        if not good:
            checks.append(check("pod addresses", "fail", "%s (%s) over UDP: %s" % (node, address, answer), own))
        elif socket.inet_pton(family, own_ip) not in answer:
            checks.append(check("pod addresses", "fail", "%s does not see the pod's own address %s: it is translated on the way" % (node, own_ip), own))
        else:
            checks.append(check("pod addresses", "ok", "%s sees the pod's own address" % node, own))
    if dns_ip:
        name = "kubernetes.default.svc.%s" % domain
        for tcp in (False, True):
            good, answer = retried(deadline, lambda tcp=tcp: ask(dns_ip, name, tcp=tcp))
            checks.append(check("DNS by name", "ok" if good else "fail", "%s over %s at %s%s" % (name, "TCP" if tcp else "UDP", dns_ip, "" if good else ": %s" % answer), own))
    good, answer = retried(deadline, lambda: http_ok(service_ip, 80))
    checks.append(check("Service", "ok" if good else "fail", "cluster IP %s%s" % (service_ip, "" if good else ": %s; is kube-proxy well?" % answer), own))
    return checks


def targets_of(own, pods):
    """Pods to reach from this node: all in a small cluster, else the next three around the ring."""
    names = sorted(pods)
    if own not in names:
        return {}
    place = names.index(own)
    ring = names[place + 1 :] + names[:place]
    return {name: pods[name]["ip"] for name in (ring if len(ring) <= 6 else ring[:3])}


def endpoint_check(own, deadline):
    """The API through the address in the kubelet's own kubeconfig."""
    text = Host().read(KUBERNETES + "/kubelet.conf") or ""
    admin = Host().read(KUBERNETES + "/admin.conf") or text
    servers = sorted(set(re.findall(r"server:\s*(\S+)", text) + re.findall(r"server:\s*(\S+)", admin)))
    context = ssl.create_default_context(cafile=KUBERNETES + "/pki/ca.crt")
    checks = []
    for server in servers:
        good, answer = retried(deadline, lambda server=server: urllib.request.urlopen(server + "/readyz", timeout=3, context=context).read())
        refused = isinstance(answer, urllib.error.HTTPError) and answer.code in (401, 403)
        checks.append(check("API", "ok" if good or refused else "fail", "through %s%s" % (server, "" if good or refused else ": %s" % answer), own))
    return checks


def certificate_checks(own):
    """Days that the node's certificates have left."""
    found = cluster.certificates(Host(), time.time())
    if not found:
        return []
    worst = min(found, key=lambda name: found[name]["days_left"])
    days = found[worst]["days_left"]
    status = "fail" if days < 0 else "warn" if days < CERTIFICATE_WARNING_DAYS else "ok"
    advice = "" if status == "ok" else "; renew it (`kubeadm certs renew all`, then restart the static pods)"
    return [check("certificates", status, "%d; %s has %d days left%s" % (len(found), worst, days, advice), own)]


def service_checks(own):
    """The collection's services run."""
    units = software.services(Host(), 0.0, os.sysconf("SC_CLK_TCK"))
    wrong = [name for name in ("containerd", "kubelet", "kube-endpoint", "kube-endpoint-vip", "kube-bridge") if units[name]["exists"] and units[name]["active"] != "active"]
    return [check("services", "fail" if wrong else "ok", "%s not running; see `journalctl -u %s`" % (", ".join(wrong), wrong[0]) if wrong else "all run", own)]


def mirrors(root="/etc/containerd/certs.d"):
    """[(registry, host URL, Authorization header, CA file, skip verification)] of the hosts.toml files."""
    found = []
    host = Host()
    for path in host.list(root + "/*/hosts.toml"):
        registry = os.path.basename(os.path.dirname(path))
        blocks = re.split(r"^\[host\.", host.read(path) or "", flags=re.M)[1:]
        for block in (text for text in blocks if not re.match(r'"[^"]+"\.header', text)):
            url = re.match(r'"([^"]+)"', block).group(1)
            header = re.search(r'^\s*Authorization = "([^"]+)"', block, re.M)
            ca = re.search(r'^\s*ca = "([^"]+)"', block, re.M)
            found.append((registry, url, header.group(1) if header else None, ca.group(1) if ca else None, "skip_verify = true" in block))
    return found


def images_of(registry):
    """Images on this node that came from a registry: [(repository, tag)]."""
    output = Host().run(["/usr/local/bin/crictl", "images", "-o", "json"], 5)
    tags = [tag for image in json.loads(output or "{}").get("images") or [] for tag in image.get("repoTags") or []]
    return [tuple(tag[len(registry) + 1 :].rsplit(":", 1)) for tag in tags if tag.startswith(registry + "/")]


def mirror_checks(own):
    """Each mirror gives out the manifest of an image that this node has from that registry, or at least answers."""
    checks = []
    for registry, url, header, ca, skip in mirrors():
        images = images_of(registry)
        path = "/v2/%s/manifests/%s" % images[0] if images else "/v2/"
        context = ssl._create_unverified_context() if skip else ssl.create_default_context(cafile=ca)
        kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
        request = urllib.request.Request(url.rstrip("/") + path, headers={"Accept": kinds, **({"Authorization": header} if header else {})})
        try:
            with urllib.request.urlopen(request, timeout=5, **({"context": context} if url.startswith("https") else {})) as answer:
                answer.read()
            checks.append(check("registry", "ok", "%s from %s" % ("%s/%s:%s" % (registry, *images[0]) if images else registry, url), own))
        except (OSError, ValueError) as error:
            checks.append(check("registry", "fail", "%s from %s: %s" % (registry, url + path, error), own))
    return checks


def probe(own, begun, domain, seconds):
    """All checks of one node. own: its name in the cluster. begun: what verify_cluster.begin returned."""
    deadline = time.monotonic() + seconds
    checks = service_checks(own) + endpoint_check(own, deadline) + certificate_checks(own) + mirror_checks(own)
    pods = begun.get("pods") or {}
    if own in pods:
        pid = process_of(pods[own]["uid"])
        targets = targets_of(own, pods)
        if pid is None:
            checks.append(check("pod network", "fail", "no process of the pod %s is here" % pods[own]["uid"], own))
        else:
            checks += inside(pid, lambda: from_pod(own, pods[own]["ip"], targets, begun["service_ip"], begun["dns_ip"], domain, deadline))
    return checks
