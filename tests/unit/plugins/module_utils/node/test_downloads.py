# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching: checksums in every form that upstreams publish, wrong ones refused, nothing left behind."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import tarfile
import threading

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


def test_unpack_damaged(tmp_path):
    path = tmp_path / "a.tgz"
    path.write_bytes(b"\x1f\x8b not really")
    with pytest.raises(fetching.FetchError, match="cannot be read as an archive"):
        fetching.unpack(str(path), str(tmp_path), 0, None)
