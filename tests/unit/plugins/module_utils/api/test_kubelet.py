# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import ssl
import threading

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import kubelet
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.conftest import Served


class Kubelet(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"words\n")

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    made = http.server.HTTPServer(("127.0.0.1", 0), Kubelet)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setattr(kubelet.paths, "KUBELET_HEALTH_PORT", made.server_port)
    yield made
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize(("status", "problem"), [(200, ""), (500, "HTTP 500 words")])
def test_what_it_answers(server, monkeypatch, status, problem):
    monkeypatch.setattr(Kubelet, "status", status)
    assert kubelet.health_problem() == problem


def test_a_kubelet_that_does_not_run(server):
    server.shutdown()
    server.server_close()
    assert "refused" in kubelet.health_problem()


# -- the certificate that it serves
# --------------------------------------------------------------------------


class Machine:
    """A machine on whose kubelet port a certificate is served."""

    def __init__(self, root, authority, serve, monkeypatch):
        self.root, self.authority, self.serve, self.monkeypatch = root, authority, serve, monkeypatch
        (root / "var/lib/kubelet/pki").mkdir(parents=True)

    def put(self, path, name="kubelet", days=100):
        """Write a certificate and its key, and return both as PEM."""
        made = self.authority.issue(name, days=days)
        (self.root / path[1:]).write_bytes(made[0] if path.endswith(".crt") else b"".join(made))
        if path.endswith(".crt"):
            (self.root / (path[1:-3] + "key")).write_bytes(made[1])
        return made

    def served(self, pem):
        (self.root / "served.pem").write_bytes(b"".join(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.root / "served.pem")
        made = self.serve(Served(lambda _request: (200, {}, b""), context))
        self.monkeypatch.setattr(kubelet.paths, "KUBELET_PORT", made.port)


@pytest.fixture
def machine(tmp_path, authority, serve, monkeypatch):
    monkeypatch.setattr(kubelet, "LOOPBACKS", ("127.0.0.1",))
    return Machine(tmp_path, authority, serve, monkeypatch)


def test_what_it_has_made_itself(machine):
    machine.served(machine.put(kubelet.paths.KUBELET_SERVING[0]))
    found = kubelet.serving(str(machine.root))
    assert (found.kind, found.waits) == (kubelet.SELF_SIGNED, False) and found.expires - found.begins == 365 * 86400


@pytest.mark.parametrize("left", [(), ("kubelet.key",), ("kubelet.crt", "kubelet.key")])
def test_a_run_that_was_killed_after_it_put_them_aside(machine, left):
    pki = machine.root / "var/lib/kubelet/pki"
    machine.served(machine.put(kubelet.paths.KUBELET_SERVING[0]))
    for name in ("kubelet.crt", "kubelet.key"):
        (pki / name).replace(pki / (name + kubelet.FORMER))
    if "kubelet.crt" in left:
        machine.put(kubelet.paths.KUBELET_SERVING[0])
    elif left:
        (pki / "kubelet.key").write_text("KEY")
    found = kubelet.serving(str(machine.root))
    assert (found.kind, found.waits) == (kubelet.SELF_SIGNED, True)


def test_what_the_cluster_has_signed_and_what_the_user_has_given(machine):
    machine.put(kubelet.paths.KUBELET_SERVING[0])
    pem = machine.put(kubelet.paths.KUBELET_SIGNED_SERVING)
    machine.served(pem)
    assert kubelet.serving(str(machine.root))[::3] == (kubelet.SIGNED, False)
    (machine.root / kubelet.paths.KUBELET_SIGNED_SERVING[1:]).unlink()
    assert kubelet.serving(str(machine.root)).kind == kubelet.GIVEN


def test_none_that_was_signed_and_no_kubelet(machine, serve):
    plain = serve(Served(lambda _request: (200, {}, b"")))  # it takes the connection, and no handshake follows
    machine.monkeypatch.setattr(kubelet.paths, "KUBELET_PORT", plain.port)
    assert kubelet.serving(str(machine.root)) == kubelet.Serving(kubelet.NONE)
    machine.monkeypatch.setattr(kubelet.paths, "KUBELET_PORT", 1)
    assert kubelet.serving(str(machine.root)) is None
