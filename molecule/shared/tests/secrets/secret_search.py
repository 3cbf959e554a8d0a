# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search a node for secrets of the cluster in places where they must not be. Run as root. Prints places, not secrets.

Places: process arguments, unit properties, the journal, and every file that other users can read.
"""

from __future__ import annotations

import base64
import glob
import os
import re
import subprocess
import sys

LIMIT = 20 * 1024 * 1024


def read(path):
    try:
        with open(path, "rb") as handle:
            return handle.read(LIMIT)
    except OSError:
        return b""


def private_line(pem):
    """Return a secret line of a PEM key. RSA keys start with the public modulus, EC keys with the secret."""
    key = re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END", pem, re.DOTALL)
    lines = key.group(0).splitlines() if key else []
    if len(lines) < 3:
        return b""
    return lines[len(lines) * 3 // 5] if len(lines) > 10 else lines[1]


def secrets():
    """Return {name: bytes of the secret}."""
    found = {}
    for path in glob.glob("/etc/kubernetes/pki/**/*.key", recursive=True) + glob.glob("/var/lib/kubelet/pki/*"):
        found[path] = private_line(read(path))
    for path in glob.glob("/etc/kubernetes/*.conf"):
        for number, data in enumerate(re.findall(rb"client-key-data: (\S+)", read(path))):
            found["%s key %d" % (path, number)] = private_line(base64.b64decode(data))
            middle = len(data) * 3 // 5
            found["%s key %d, encoded" % (path, number)] = data[middle : middle + 80]
    for path in glob.glob("/var/lib/rancher/k3s/server/tls/**/*.key", recursive=True) + glob.glob("/var/lib/rancher/k3s/agent/*.key"):
        found[path] = private_line(read(path))
    for path in ("/etc/rancher/k3s/token", "/etc/rancher/k3s/agent-token", "/etc/rancher/node/password"):
        found[path] = read(path).strip().rpartition(b":")[2]
    for path in glob.glob("/etc/rancher/k3s/config.yaml.d/*"):
        for number, login in enumerate(re.findall(rb"://[^\s:/@]*:([^\s@]+)@", read(path))):
            found["%s password %d" % (path, number)] = login
    found["key to the datastore"] = private_line(read("/etc/rancher/k3s/datastore/client.key"))
    for number, token in enumerate(tokens()):
        found["bootstrap token %d" % number] = token
    return found


def tokens():
    """Return the secret halves of bootstrap tokens."""
    if not os.path.exists("/etc/kubernetes/admin.conf"):
        return []
    template = "{range .items[?(@.type=='bootstrap.kubernetes.io/token')]}{.data.token-secret}{'\\n'}{end}"
    command = ["kubectl", "--cache-dir=/run/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "secrets"]
    command += ["-n", "kube-system", "-o", "jsonpath=" + template]
    return [base64.b64decode(line) for line in subprocess.check_output(command).split()]


def readable(top):
    """Yield the files below a directory that an unprivileged user can read."""
    try:
        entries = list(os.scandir(top)) if os.stat(top).st_mode & 0o001 else []
    except OSError:
        return
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
            if entry.is_dir(follow_symlinks=False):
                yield from readable(entry.path)
            elif entry.is_file(follow_symlinks=False) and mode & 0o004:
                yield entry.path
        except OSError:
            continue


def places():
    """Yield (name, content) of every place that must not contain a secret."""
    for process in glob.glob("/proc/[0-9]*"):
        yield process + "/cmdline of " + read(process + "/comm").decode().strip(), read(process + "/cmdline")
    yield "units", subprocess.run(["systemctl", "show", "--no-pager", "*"], stdout=subprocess.PIPE, check=False).stdout
    yield (
        "journal",
        subprocess.run(["journalctl", "-o", "cat", "--no-pager"], stdout=subprocess.PIPE, check=False).stdout,
    )
    for top in ("/etc", "/opt", "/root", "/home", "/run", "/tmp", "/usr/local", "/var"):
        for path in readable(top):
            yield path, read(path)


def main():
    known = secrets()
    if "--reveal" in sys.argv:  # for a search in Ansible's output on the controller
        for secret in filter(None, known.values()):
            print("secret", base64.b64encode(secret).decode())
        return
    count = 0
    for place, content in places():
        count += 1
        for name, secret in known.items():
            if secret and secret in content:
                print("%s is in %s" % (name, place))
    print("searched %d places for %d secrets" % (count, len(known)), file=sys.stderr)


main()
