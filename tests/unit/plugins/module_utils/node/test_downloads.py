# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching: checksums in every form that upstreams publish, wrong ones refused, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading
import time
import types
import urllib.request

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import downloads as fetching

CONTENT = b"program" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URL = "https://dl.example/tool/v1/tool"


@pytest.fixture
def mirror(tmp_path):
    """A directory in upstream's layout."""
    place = tmp_path / "mirror/dl.example/tool/v1"
    place.mkdir(parents=True)
    (place / "tool").write_bytes(CONTENT)
    (place / "tool.sha256").write_text(DIGEST)
    (tmp_path / "out").mkdir()
    return tmp_path


def source(mirror):
    return fetching.Source(str(mirror / "mirror"), retries=1)


@pytest.mark.parametrize(
    "text",
    [
        DIGEST,
        DIGEST.upper() + "\n",
        DIGEST + "  tool\n",
        "0" * 64 + "  other\n" + DIGEST + " *tool\n",
        DIGEST + "  ./some/where/tool\n",
        "SHA256 (tool) = " + DIGEST,
    ],
)
def test_checksum_files(text):
    assert fetching.digest_in(text, "tool") == DIGEST


@pytest.mark.parametrize("text", ["", "nonsense", DIGEST + "  another", "0" * 63])
def test_checksum_files_without_the_name(text):
    assert fetching.digest_in(text, "tool") is None


def test_fetch(mirror):
    path, digest = fetching.fetch(source(mirror), {"url": URL, "checksum_url": URL + ".sha256"}, str(mirror / "out"))
    with open(path, "rb") as stream:
        assert stream.read() == CONTENT
    assert digest == DIGEST


def test_wrong_checksum_names_everything_and_leaves_nothing(mirror):
    (mirror / "mirror/dl.example/tool/v1/tool.sha256").write_text("1" * 64)
    with pytest.raises(fetching.FetchError) as error:
        fetching.fetch(source(mirror), {"url": URL, "checksum_url": URL + ".sha256"}, str(mirror / "out"))
    for part in ("tool", str(mirror / "mirror/dl.example/tool/v1/tool"), DIGEST, "1" * 64):
        assert part in str(error.value)
    assert os.listdir(mirror / "out") == []


def test_pinned_checksum_wins(mirror):
    with pytest.raises(fetching.FetchError, match="expected 2222"):
        fetching.fetch(source(mirror), {"url": URL, "checksum": "sha256:" + "2" * 64}, str(mirror / "out"))


def test_missing_file(mirror):
    with pytest.raises(fetching.FetchError, match="tool2: No such file"):
        fetching.fetch(source(mirror), {"url": URL + "2", "checksum": DIGEST}, str(mirror / "out"))


def test_http_mirror(mirror):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(mirror / "mirror"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = fetching.Source("http://127.0.0.1:%d" % server.server_port, retries=1)
    try:
        assert here.text(URL + ".sha256") == DIGEST
        with pytest.raises(fetching.FetchError, match="HTTP 404"):
            here.text(URL + ".nothing")
    finally:
        server.shutdown()
    with pytest.raises(fetching.FetchError, match="1 tries"):
        here.text(URL)


def archive(path, names):
    with tarfile.open(path, "w:gz") as made:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(CONTENT), 0o4777
            made.addfile(member, io.BytesIO(CONTENT))
        link = tarfile.TarInfo("bin/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    return str(path)


def test_unpack(tmp_path):
    done = fetching.unpack(
        archive(tmp_path / "a.tgz", ["bin/one", "bin/two", "doc/three"]), str(tmp_path), 1, ["bin/*"]
    )
    assert sorted((relative, digest) for _path, relative, digest in done) == [("one", DIGEST), ("two", DIGEST)]
    assert all(os.stat(path).st_mode & 0o7777 == 0o755 for path, _relative, _digest in done)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "bin/../../evil"])
def test_unpack_refuses_what_leads_out(tmp_path, name):
    with pytest.raises(fetching.FetchError, match="outside of its directory"):
        fetching.unpack(archive(tmp_path / "a.tgz", [name]), str(tmp_path), 0, None)


@pytest.mark.parametrize("name", ["bin//etc/cron.d/x", ".//etc/cron.d/x", "./../x", "bin/..", "./bin//x"])
def test_unpack_refuses_names_that_become_absolute(tmp_path, name):
    with pytest.raises(fetching.FetchError, match="outside of its directory"):
        fetching.unpack(archive(tmp_path / "a.tgz", [name]), str(tmp_path), 1, None)
    assert os.listdir(tmp_path) == ["a.tgz"]


def test_unpack_does_not_follow_a_link_out_of_the_directory(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sub").symlink_to(tmp_path / "there")
    with pytest.raises(fetching.FetchError, match="outside of %s" % (tmp_path / "bin")):
        fetching.unpack(archive(tmp_path / "a.tgz", ["sub/x"]), str(tmp_path / "bin"), 0, None)


def test_unpack_takes_names_with_blanks_and_other_letters(tmp_path):
    done = fetching.unpack(archive(tmp_path / "a.tgz", ["./bin/n\u00e4me of it"]), str(tmp_path), 1, ["bin/*"])
    assert [relative for _path, relative, _digest in done] == ["n\u00e4me of it"]


def test_unpack_damaged(tmp_path):
    path = tmp_path / "a.tgz"
    path.write_bytes(b"\x1f\x8b not really")
    with pytest.raises(fetching.FetchError, match="cannot be read as an archive"):
        fetching.unpack(str(path), str(tmp_path), 0, None)


class Unreliable(http.server.BaseHTTPRequestHandler):
    """Answers each path with a fault, the first `faults` times."""

    protocol_version = "HTTP/1.1"
    faults, requests = 99, []

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        type(self).requests.append(self.path)
        self.close_connection = True
        if len(self.requests) > self.faults:
            return self.head(200, {"Content-Length": str(len(CONTENT))}, CONTENT)
        return getattr(self, self.path.rsplit("/", 1)[-1])()

    def head(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def short(self):
        self.head(200, {"Content-Length": str(len(CONTENT))}, CONTENT[:1000])

    def chunked(self):
        self.head(200, {"Transfer-Encoding": "chunked"}, b"400\r\n" + b"y" * 1024 + b"\r\n")

    def garbage(self):
        self.connection.sendall(b"NOT HTTP\r\n\r\n")

    def reset(self):
        self.head(200, {"Content-Length": str(len(CONTENT))}, CONTENT[:1000])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def busy(self):
        self.head(503, {"Content-Length": "0"})

    def many(self):
        self.head(429, {"Content-Length": "0"})

    def missing(self):
        self.head(404, {"Content-Length": "0"})

    def drip(self):
        self.head(200, {"Content-Length": "50"})
        with contextlib.suppress(OSError):
            for _number in range(25):
                self.wfile.write(b"z")
                self.wfile.flush()
                time.sleep(0.2)


@pytest.fixture
def unreliable(monkeypatch):
    """Base URL of a server with faults."""
    Unreliable.faults, Unreliable.requests = 99, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unreliable)
    server.handle_error = lambda *_arguments: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching, "time", types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: None))
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()


@pytest.mark.parametrize("fault", ["short", "chunked", "garbage", "reset", "busy", "many"])
def test_a_transfer_that_breaks_is_tried_again_as_a_whole(unreliable, tmp_path, fault):
    item = {"url": "https://dl.example/" + fault, "checksum": DIGEST}
    with pytest.raises(fetching.FetchError, match=r"\(3 tries\)") as error:
        fetching.fetch(fetching.Source(unreliable), item, str(tmp_path))
    assert "SHA-256" not in str(error.value) and len(Unreliable.requests) == 3 and os.listdir(tmp_path) == []
    Unreliable.faults, Unreliable.requests = 2, []
    path, _digest = fetching.fetch(fetching.Source(unreliable), item, str(tmp_path))
    with open(path, "rb") as stream:
        assert stream.read() == CONTENT


def test_what_another_try_cannot_change_is_said_at_once(unreliable, tmp_path):
    with pytest.raises(fetching.FetchError, match="HTTP 404"):
        fetching.fetch(fetching.Source(unreliable), {"url": "https://x/missing", "checksum": DIGEST}, str(tmp_path))
    Unreliable.faults = 0
    with pytest.raises(fetching.FetchError, match="expected 2222"):
        fetching.fetch(fetching.Source(unreliable), {"url": "https://x/y", "checksum": "2" * 64}, str(tmp_path))
    assert len(Unreliable.requests) == 2 and os.listdir(tmp_path) == []


def test_a_server_that_drips_is_given_up(unreliable, tmp_path):
    monotonic, source = time.monotonic(), fetching.Source(unreliable, timeout=1, deadline=0.5)
    with pytest.raises(fetching.FetchError, match="took more than"):
        fetching.fetch(source, {"url": "https://x/drip", "checksum": DIGEST}, str(tmp_path))
    assert time.monotonic() - monotonic < 4 and os.listdir(tmp_path) == []


def test_a_full_disk_is_named_and_not_tried_again(unreliable, tmp_path, monkeypatch):
    Unreliable.faults = 0

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "copy", full)
    with pytest.raises(fetching.FetchError, match="No space left on device"):
        fetching.fetch(fetching.Source(unreliable), {"url": "https://x/y", "checksum": DIGEST}, str(tmp_path))
    assert len(Unreliable.requests) == 1 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("base", ["https://user:pass-word@mirror.example", "http://u:pass-word@[::1", "http://m:x/"])
@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
def test_an_address_that_is_no_url_is_refused_without_its_login(base, proxy):
    with pytest.raises(fetching.FetchError) as error:
        fetching.Source(base, proxy=proxy, retries=1).text("https://dl.k8s.io/x")
    assert "pass-word" not in str(error.value)


def test_a_failure_names_the_proxy_without_its_login():
    source = fetching.Source(proxy="http://me:hunter7@127.0.0.1:1", retries=1)
    with pytest.raises(fetching.FetchError) as failed:
        source.text("http://mirror.example/kubeadm")
    assert "(through the proxy http://" in str(failed.value) and "127.0.0.1:1)" in str(failed.value)
    assert "hunter7" not in str(failed.value)


def test_the_proxy_is_used_but_for_what_is_excepted():
    def proxies(address):
        source = fetching.Source(proxy="http://proxy:3128", no_proxy=["mirror.lan", ".corp.example", "10.0.0.0/8"])
        (handler,) = [
            item for item in source.opener(address).handlers if isinstance(item, urllib.request.ProxyHandler)
        ] or [None]
        return handler.proxies if handler else {}

    assert proxies("https://dl.k8s.io/x") == {"http": "http://proxy:3128", "https": "http://proxy:3128"}
    for host in ("mirror.lan", "a.corp.example:8443", "10.1.2.3:8080"):
        assert proxies("https://%s/x" % host) == {}, host


def test_files_are_on_the_disk_before_they_are_used(mirror, monkeypatch):
    synced = []
    monkeypatch.setattr(fetching.os, "fsync", synced.append)
    fetching.fetch(source(mirror), {"url": URL, "checksum": DIGEST}, str(mirror / "out"))
    fetching.unpack(archive(mirror / "a.tgz", ["one"]), str(mirror / "out"), 0, None)
    assert len(synced) == 2


def test_a_copy_beside_that_does_not_fit_leaves_nothing(tmp_path, monkeypatch):
    source, there = tmp_path / "kubelet", tmp_path / "there"
    source.write_bytes(b"x")
    there.mkdir()

    def full(_stream, out, _digest):
        out.write(b"x")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "copy", full)
    with pytest.raises(OSError, match="No space"):
        fetching.copy_beside(str(source), str(there), "0")
    assert list(there.iterdir()) == []
