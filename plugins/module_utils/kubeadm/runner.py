# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running kubeadm on a node: start, join, resume what was half done. Standard library only.

Each step is safe to run again: what kubeadm finished is found by its traces, what it left half-done is resumed by the same
command with the phases and preflight checks that the traces call for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import ssl
import string
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

KUBERNETES = "/etc/kubernetes"
BIN = "/usr/local/bin/"
LOCK = "/run/kubewright-kubeadm.lock"
CLIENT_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# What a run that stopped half way leaves, and kubeadm's preflight would refuse.
LEFTOVERS = [
    "DirAvailable--etc-kubernetes-manifests",
    "DirAvailable--var-lib-etcd",
    *(
        "FileAvailable--etc-kubernetes-manifests-%s.yaml" % name
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    ),
    *("FileAvailable--etc-kubernetes-%s" % name for name in ("kubelet.conf", "bootstrap-kubelet.conf", "pki-ca.crt")),
    *("Port-%d" % port for port in (6443, 10259, 10257, 10250, 2379, 2380)),
]
_SECRET = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b|\b[0-9a-f]{64}\b")


class KubeadmError(Exception):
    """kubeadm failed; the message says what it said."""


def run(argv, timeout):
    """(exit status, output, error output) of a command; past the timeout it is ended and that is its error output."""
    environment = {
        **os.environ,
        "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
        "KUBECONFIG": "",
    }
    try:
        # The lock file's descriptor goes along: while kubeadm runs, whoever started it, a second run waits.
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            env=environment,
            close_fds=False,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "", "%s did not end within %d s" % (os.path.basename(argv[0]), timeout)
    except OSError as error:
        return 127, "", "%s: %s" % (argv[0], error.strerror)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@contextlib.contextmanager
def only_one(timeout):
    """Hold the node's lock: a kubeadm that a killed run left behind comes to its end first."""
    with open(LOCK, "w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise KubeadmError(
                        "another kubeadm still runs after %d s; look at `ps -C kubeadm` on the node" % timeout
                    ) from None
                time.sleep(0.5)
        yield


@contextlib.contextmanager
def config_file(text):
    """A file of mode 0600 with the configuration, gone afterwards."""
    handle, path = tempfile.mkstemp(prefix="kubewright-", suffix=".yaml", dir="/run")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        yield path
    finally:
        os.unlink(path)


def masked(text):
    """The text without tokens and certificate keys."""
    return _SECRET.sub("********", text)


def kubeadm(arguments, timeout):
    """Output of a kubeadm command; KubeadmError with what it complained about."""
    status, output, errors = run([BIN + "kubeadm"] + arguments, timeout)
    if status:
        lines = [
            line
            for line in (errors or output).splitlines()
            if line.strip() and not line.startswith(("W", "I", "To see the stack trace"))
        ]
        raise KubeadmError("kubeadm %s: %s" % (" ".join(arguments[:2]), masked("\n".join(lines[-12:]))))
    return output


def kubectl(arguments, timeout=15, config="admin.conf"):
    """(exit status, output) of kubectl with one of the node's own kubeconfigs."""
    status, output, errors = run(
        [BIN + "kubectl", "--kubeconfig", "%s/%s" % (KUBERNETES, config), "--request-timeout=%ds" % timeout]
        + arguments,
        timeout + 5,
    )
    return status, output or errors


def has(*names):
    """Whether all of these exist in /etc/kubernetes."""
    return all(os.path.exists(os.path.join(KUBERNETES, name)) for name in names)


def half_done():
    """Whether an earlier run left traces."""
    return (
        has("kubelet.conf") or has("manifests/etcd.yaml") or has("manifests/kube-apiserver.yaml") or has("pki/ca.crt")
    )


def ignoring():
    """The flag that lets preflight pass over an earlier run's traces."""
    return ["--ignore-preflight-errors=" + ",".join(LEFTOVERS)] if half_done() else []


def initialised():
    """Whether the cluster has what the last phases of `kubeadm init` make."""
    if not has("admin.conf", "manifests/kube-apiserver.yaml"):
        return False
    return (
        kubectl(
            [
                "-n",
                "kube-system",
                "get",
                "configmap/kubeadm-config",
                "configmap/kubelet-config",
                "deployment/coredns",
                "daemonset/kube-proxy",
                "-o",
                "name",
            ]
        )[0]
        == 0
    )


def init(config, timeout):
    """Make a new cluster here, or finish a half-made one. Returns whether anything was done."""
    with only_one(timeout):
        if initialised():
            return False
        token = "%s.%s" % (_random(6), _random(16))
        with config_file(config.replace("@token@", token)) as path:
            kubeadm(
                ["init", "--config", path, "--skip-token-print", "--skip-phases=show-join-command"] + ignoring(),
                timeout,
            )
    return True


def _random(length):
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _number in range(length))


def wait_api(timeout):
    """Wait for this node's API server, started by its kubelet."""
    deadline = time.monotonic() + timeout
    while True:
        status, output = kubectl(["get", "--raw", "/readyz"], 5)
        if status == 0:
            return
        if time.monotonic() > deadline:
            raise KubeadmError(
                "the API server was not ready within %d s: %s" % (timeout, masked(output.strip()[-400:]))
            )
        time.sleep(1)


def reconfigure(config, timeout):
    """Write this control plane's static pods anew; the kubelet restarts those that differ.

    The serving certificate is made anew too: its names are among what may have changed, and its authority stays.
    """
    with only_one(timeout), config_file(config.replace("@token@", "%s.%s" % (_random(6), _random(16)))) as path:
        for name in ("apiserver.crt", "apiserver.key"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink("%s/pki/%s" % (KUBERNETES, name))
        kubeadm(["init", "phase", "certs", "apiserver", "--config", path], timeout)
        kubeadm(["init", "phase", "control-plane", "all", "--config", path], timeout)
        # The API server reads its certificate anew by itself; its pod must be seen to be the new one before the gate asks.
        time.sleep(2)


def upload(config, timeout):
    """Keep the configuration in the cluster, for joins and upgrades to come."""
    with only_one(timeout), config_file(config.replace("@token@", "%s.%s" % (_random(6), _random(16)))) as path:
        kubeadm(
            ["init", "phase", "upload-config", "kubeadm", "--config", path, "--kubeconfig", KUBERNETES + "/admin.conf"],
            timeout,
        )


def gate(name, control_plane, timeout):
    """Wait until this node serves: API ready, node Ready, etcd member started and voting."""
    if control_plane:
        wait_api(timeout)
    deadline = time.monotonic() + timeout
    while True:
        lacking = _lacking(name, control_plane)
        if not lacking:
            return
        if time.monotonic() > deadline:
            raise KubeadmError("%s is not healthy after %d s: %s" % (name, timeout, lacking))
        time.sleep(1)


def _lacking(name, control_plane):
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    status, output = kubectl(["get", "node", name, "-o", "jsonpath=" + path], 5, "kubelet.conf")
    if status or output.strip() != "True":
        return "the node is not Ready (%s)" % masked(output.strip()[-200:])
    if not control_plane:
        return ""
    path = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'
    status, output = kubectl(
        [
            "-n",
            "kube-system",
            "get",
            "pods",
            "-l",
            "tier=control-plane",
            "--field-selector",
            "spec.nodeName=" + name,
            "-o",
            "jsonpath=" + path,
        ],
        5,
    )
    waiting = [word for word in output.split() if not word.endswith("=True")]
    if status or waiting:
        return "its static pods are not ready (%s)" % masked(" ".join(waiting)[-300:])
    if os.path.exists(KUBERNETES + "/manifests/etcd.yaml"):
        status, output, errors = run([BIN + "crictl", "ps", "--name", "^etcd$", "-q"], 10)
        if status or not output.strip():
            return "its etcd does not run: %s" % errors.strip()[-200:]
        members = etcd_members()
        if not any(member.get("name") == name and not member.get("isLearner") for member in members):
            return "its etcd member does not vote (members: %s)" % ", ".join(
                member.get("name") or "?" for member in members
            )
    return ""


def etcd_members():
    """Members of the etcd cluster, asked from the local member over its JSON gateway."""
    context = ssl.create_default_context(cafile=KUBERNETES + "/pki/etcd/ca.crt")
    context.load_cert_chain(
        KUBERNETES + "/pki/etcd/healthcheck-client.crt", KUBERNETES + "/pki/etcd/healthcheck-client.key"
    )
    request = urllib.request.Request("https://127.0.0.1:2379/v3/cluster/member/list", data=b"{}", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return json.load(answer).get("members") or []
    except (OSError, ValueError):
        return []


def credentials(config, control_planes, timeout):
    """What others need to join: {token, ca_hash, certificate_key}, valid for half an hour (the key for two hours)."""
    with only_one(timeout):
        joined = kubeadm(
            ["token", "create", "--ttl", "30m", "--print-join-command", "--kubeconfig", KUBERNETES + "/admin.conf"], 60
        )
        found = {
            "token": _after(joined, "--token"),
            "ca_hash": _after(joined, "--discovery-token-ca-cert-hash"),
            "certificate_key": "",
        }
        if control_planes:
            with config_file(config.replace("@token@", found["token"])) as path:
                uploaded = kubeadm(
                    [
                        "init",
                        "phase",
                        "upload-certs",
                        "--upload-certs",
                        "--config",
                        path,
                        "--kubeconfig",
                        KUBERNETES + "/admin.conf",
                    ],
                    60,
                )
            found["certificate_key"] = uploaded.split()[-1]
    return found


def _after(text, flag):
    words = text.split()
    return words[words.index(flag) + 1]


def joined(name, control_plane):
    """Whether this node's join came to its end."""
    if not has("kubelet.conf") or not os.path.exists(CLIENT_CERTIFICATE):
        return False
    if not control_plane:
        return True
    if not has("admin.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml"):
        return False
    status, output = kubectl(["get", "node", name, "-o", "jsonpath={.metadata.labels}"])
    return status == 0 and "node-role.kubernetes.io/control-plane" in output


def join(config, secret, name, control_plane, clean, timeout):
    """Join this node, or finish a half-done join. Returns whether anything was done.

    clean: first take away what the half-done join left (its etcd member too), for when resuming did not help.
    """
    with only_one(timeout):
        if joined(name, control_plane):
            return False
        if clean and half_done():
            kubeadm(["reset", "--force", "--cri-socket", "unix:///run/containerd/containerd.sock"], timeout)
        for key in ("token", "ca_hash", "certificate_key"):
            config = config.replace("@%s@" % key, secret[key])
        flags = ignoring()
        if has("kubelet.conf") and os.path.exists(CLIENT_CERTIFICATE):
            # The kubelet has its identity already; its bootstrap would refuse a node that is there.
            flags.append("--skip-phases=kubelet-start,kubelet-wait-bootstrap")
            run(["systemctl", "start", "kubelet"], 30)
        with config_file(config) as path:
            kubeadm(["join", "--config", path] + flags, timeout)
    return True


def missing_images(names):
    """Those of the images that the runtime does not have."""
    status, output, _errors = run([BIN + "crictl", "images", "-o", "json"], 30)
    if status:
        return list(names)
    tags = {tag for image in json.loads(output).get("images") or [] for tag in image.get("repoTags") or []}
    return [name for name in names if name not in tags]


def pull(names, timeout):
    """Pull the images that are missing, two at a time. Returns their names; KubeadmError with every one that failed."""
    wanted = missing_images(names)

    def one(name):
        status, output, errors = run([BIN + "crictl", "--timeout", "%ds" % timeout, "pull", name], timeout)
        return None if status == 0 else "%s: %s" % (name, (errors or output).strip().splitlines()[-1][:300])

    with ThreadPoolExecutor(2) as pool:
        failed = [text for text in pool.map(one, wanted) if text]
    if failed:
        raise KubeadmError("images could not be pulled: " + "; ".join(failed))
    return wanted


def troubles():
    """The last words of the kubelet, for the message of a failure."""
    _status, output, _errors = run(["journalctl", "-u", "kubelet", "-n", "40", "--no-pager", "-o", "cat"], 10)
    lines = [line[:300] for line in output.splitlines() if line.startswith("E") or "rror" in line]
    return masked("\n".join(lines[-5:]))
