# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sources do not have, and what they do not say."""

from __future__ import annotations

import http.server
import threading

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.node.downloads import Source
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import offered, registry

HOSTS = 'server = "https://%s"\n[host."%s"]\n  capabilities = ["pull", "resolve"]\n'


@pytest.fixture
def server():
    """A server with the file /there that does not know HEAD for /old, and answers 500 for /broken."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            codes = {"/x/there": 200, "/x/old": 405, "/x/broken": 500}
            self.send_response(codes.get(self.path, 404))
            self.end_headers()

        def do_GET(self):
            self.send_response(200 if self.path == "/x/old" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % made.server_port
    made.shutdown()
    made.server_close()


def test_a_file_is_there_missing_or_not_known(server):
    urls = ["https://x/there", "https://x/old", "https://x/gone", "https://x/broken"]
    found = offered.files(Source(server), urls)
    assert found["missing"] == {server + "/x/gone": "HTTP 404 Not Found"}
    assert list(found["silent"]) == [server + "/x/broken"]


def test_a_source_that_nobody_serves_is_not_known():
    found = offered.files(Source("http://127.0.0.1:9"), ["https://x/there"])
    assert not found["missing"] and "refused" in found["silent"]["http://127.0.0.1:9/x/there"]


@pytest.fixture
def answers(monkeypatch):
    """What each registry says: a URL that is not in the map does not answer."""
    known = {}

    def fetch(client, image):
        answer = known.get(client.host["url"], OSError("timed out"))
        if isinstance(answer, Exception):
            raise answer

    monkeypatch.setattr(registry.Client, "fetch", fetch)
    return known


def ask(tmp_path, name="registry.k8s.io/a:1"):
    place = tmp_path / "registry.k8s.io"
    place.mkdir(exist_ok=True)
    (place / "hosts.toml").write_text(HOSTS % ("registry.k8s.io", "http://mirror"))
    return offered.images([name], paths.Kubeadm(), str(tmp_path))


def test_an_image_that_the_mirror_has_is_there(tmp_path, answers):
    answers["http://mirror"] = None
    assert ask(tmp_path) == {"missing": {}, "silent": {}}


def test_an_image_that_only_the_registry_itself_has_is_there(tmp_path, answers):
    answers.update({"http://mirror": registry.ImageMissing("no"), "https://registry.k8s.io": None})
    assert ask(tmp_path) == {"missing": {}, "silent": {}}


def test_an_image_that_the_mirror_does_not_have_is_missing(tmp_path, answers):
    answers["http://mirror"] = registry.ImageMissing("no")
    assert ask(tmp_path)["missing"] == {"registry.k8s.io/a:1": "http://mirror"}


def test_without_an_answer_nothing_is_missing(tmp_path, answers):
    found = ask(tmp_path)
    assert not found["missing"] and "http://mirror: timed out" in found["silent"]["registry.k8s.io/a:1"]


def test_docker_hub_has_another_name():
    assert [host["url"] for host in offered.hosts_of("docker.io", {})] == ["https://registry-1.docker.io"]
