# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a kubelet whose client certificate has expired a new one. Standard library only.

It cannot renew an expired one, so it borrows a short-lived one, and with that asks the API for its own. A control plane
signs the borrowed one with the cluster's key, without the API.
https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/troubleshooting-kubeadm/#kubelet-client-cert
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import time
from typing import Callable, Dict, Sequence

from ..api import certificates, kubelet, tls
from ..base.text_files import read_text, write_atomically
from ..node import paths, services
from . import renew
from .runner import KubeadmError, Runner

# The organisation of nodes: https://kubernetes.io/docs/reference/access-authn-authz/node/#overview
ORGANISATION, USER = "system:nodes", "system:node:"
LIFETIME = "1h"
# A kubelet that has not got its certificate after so long is started again.
AGAIN_SECONDS = 20
NOTE = "# Until %s is there again; kubewright.cluster.rotate replaces the certificate here.\n" % paths.KUBELET_CLIENT
CLIENT_LINE = re.compile(r"^([ \t]*)client-(certificate|key)(?:-data)?:.*$", re.M)
# A certificate, and its key, both as PEM.
Identity = Dict[str, str]


def lend(runner: Runner, own: str, config: str, names: Sequence[str]) -> Dict[str, Identity]:
    """Return short-lived certificates for the kubelets of these nodes, by name. Raise KubeadmError.

    own: the name of this control plane's Node. config: the stored ClusterConfiguration, "" if it is unknown.
    """
    found: Dict[str, Identity] = {}
    with runner.config_file(renew.documents(runner, own, config)) as path:
        for name in names:
            who = ["--client-name", USER + name, "--org", ORGANISATION, "--validity-period", LIFETIME]
            text = runner.kubeadm(["kubeconfig", "user", "--config", path, *who], 60)
            try:
                parts = tls.credentials(text[text.find("apiVersion:") :])
            except OSError as error:
                raise KubeadmError("kubeadm kubeconfig user made none for %s: %s" % (name, error)) from None
            found[name] = {key: parts["client-" + key].decode("ascii") for key in ("certificate", "key")}
    return found


def borrow(runner: Runner, identity: Identity) -> None:
    """Stop the kubelet, and let it start with a short-lived certificate next time. Raise KubeadmError."""
    path = runner.root + paths.KUBELET_CONF
    text = read_text(path)
    data = {key: base64.b64encode(identity[key].encode()).decode() for key in ("certificate", "key")}
    made, count = CLIENT_LINE.subn(lambda line: "%sclient-%s-data: %s" % (line[1], line[2], data[line[2]]), text)
    if count != 2:
        raise KubeadmError("%s does not have one client certificate and one key" % paths.KUBELET_CONF)
    # systemd starts one that fails again and again: it must not find half of it.
    services.here().stop("kubelet")
    write_atomically(path, (NOTE + made.replace(NOTE, "")).encode(), 0o600)


def is_borrowed(runner: Runner) -> bool:
    """Return True if the kubelet's kubeconfig holds a short-lived certificate."""
    return read_text(runner.root + paths.KUBELET_CONF).startswith(NOTE)


def restart(runner: Runner) -> None:
    """Restart the kubelet. Its pods run on. Raise KubeadmError.

    With a borrowed certificate it asks for its own at once only if it has no other: getCurrentCertificateOrBootstrap in
    client-go's util/certificate/certificate_manager.go. It keeps the borrowed one as its own from its first start on.
    """
    if is_borrowed(runner):
        services.here().stop("kubelet")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(runner.root + paths.KUBELET_CLIENT)
    _link(runner.root + paths.KUBELET_CLIENT)
    done = services.here().start("kubelet", restart=True)
    if done.rc:
        raise KubeadmError("the kubelet does not start: %s" % done.complaint())


def _link(path: str) -> None:
    """Make the kubelet's certificate a link again, if a copy has turned it into a file.

    The kubelet does not replace a file (updateSymlink in client-go's util/certificate/certificate_store.go).
    """
    if os.path.isfile(path) and not os.path.islink(path):
        target = os.path.join(os.path.dirname(path), "kubelet-client-former.pem")
        os.replace(path, target)
        os.symlink(target, path)


def problem(runner: Runner, former: str) -> str:
    """Return why the kubelet does not have its own certificate yet. former: digest of the one that it must not be."""
    found = certificates.read(runner.root + paths.KUBELET_CLIENT)
    if found is None:
        return "the kubelet has no client certificate yet"
    if found.expires <= time.time():
        return "the kubelet's client certificate has expired"
    return "the kubelet still waits for its own client certificate" if found.digest == former else ""


def former_of(runner: Runner) -> str:
    """Return the digest of the certificate that the kubelet has to replace: the borrowed one, or the one it uses."""
    if is_borrowed(runner):
        found = certificates.parsed(certificates.in_kubeconfig(read_text(runner.root + paths.KUBELET_CONF)))
    else:
        found = certificates.read(runner.root + paths.KUBELET_CLIENT)
    return found.digest if found else ""


def give_back(runner: Runner) -> None:
    """Let the kubelet's kubeconfig name the kubelet's own certificate again."""
    path = runner.root + paths.KUBELET_CONF
    text = read_text(path)
    if is_borrowed(runner):
        made = CLIENT_LINE.sub(lambda line: "%sclient-%s: %s" % (line[1], line[2], paths.KUBELET_CLIENT), text)
        write_atomically(path, made.replace(NOTE, "").encode(), 0o600)


def settle(runner: Runner, former: str, wait: Callable[[Callable[[], str]], None]) -> None:
    """Wait until the kubelet has its own certificate, then let its kubeconfig name that one. Raise KubeadmError.

    A kubelet that could not reach the API when it started, or was started twice, asks again only after a long time.
    """
    started = [time.monotonic()]

    def waiting() -> str:
        found = problem(runner, former)
        if found and is_borrowed(runner) and time.monotonic() - started[0] > AGAIN_SECONDS:
            restart(runner)
            started[0] = time.monotonic()
        return found

    wait(waiting)
    give_back(runner)


def put_serving_aside(runner: Runner) -> None:
    """Let the kubelet make its own serving certificate again when it starts next.

    It starts with both files or with none of them (InitializeTLS in cmd/kubelet/app/server.go of
    kubernetes/kubernetes), so a run that was killed between the two is finished here.
    """
    for path in paths.KUBELET_SERVING:
        with contextlib.suppress(FileNotFoundError):
            os.replace(runner.root + path, runner.root + path + kubelet.FORMER)


def settle_serving(runner: Runner, wait: Callable[[Callable[[], str]], None]) -> None:
    """Wait until the kubelet serves the certificate that it has made, if its former one was put aside."""
    former = [runner.root + path + kubelet.FORMER for path in paths.KUBELET_SERVING]
    if not any(map(os.path.exists, former)):
        return
    wait(lambda: _serving_problem(runner))
    for path in former:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _serving_problem(runner: Runner) -> str:
    file, there = certificates.read(runner.root + paths.KUBELET_SERVING[0]), kubelet.served()
    if file is None:
        return "the kubelet has not made its serving certificate"
    same = there is not None and there.digest == file.digest
    return "" if same else "the kubelet does not serve the certificate in %s" % paths.KUBELET_SERVING[0]
