# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import kubelet


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
