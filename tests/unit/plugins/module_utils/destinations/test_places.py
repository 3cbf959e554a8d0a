# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations without a server: signatures that AWS published, commands of sftp, and failures of one of several."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import copies, places, s3, sftp

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: its examples, with these keys
KEYS = {
    "access_key": "AKIAIOSFODNN7EXAMPLE",
    "secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
}
MOMENT = time.strptime("20130524T000000Z", "%Y%m%dT%H%M%SZ")
SFTP = {"host": "fd00::1", "port": 2222, "user": "me", "path": "/srv/a", "key": "KEY", "known_hosts": "LINE"}


@pytest.mark.parametrize(
    "query, signature",
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ("prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_signatures_are_those_that_aws_published(query, signature):
    headers = s3.signed("GET", "https://examplebucket.s3.amazonaws.com/?" + query, s3.EMPTY, KEYS, MOMENT)
    assert headers["Authorization"].endswith("Signature=" + signature)
    assert KEYS["secret_key"] not in str(headers)


def test_the_endpoint_of_aws_is_the_default():
    made = s3.Bucket({**KEYS, "region": "eu-west-1", "bucket": "b"})
    assert made._url("x y") == "https://s3.eu-west-1.amazonaws.com/b/x%20y" and made.label == "s3://b/"


def test_a_proxy_is_used_but_for_its_exceptions():
    made = s3.Bucket({**KEYS, "bucket": "b", "endpoint": "https://s3.example.com"})
    proxy = {"https": "http://proxy:3128", "no_proxy": [".example.com"]}
    assert made._proxies(proxy) == {} and made._proxies({"https": "http://proxy:3128"}) == {
        "https": "http://proxy:3128"
    }


def test_what_is_too_large_for_one_request_is_not_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "LIMIT", 3)
    (tmp_path / "a").write_text("four")
    with pytest.raises(places.PlaceError) as found:
        s3.Bucket({**KEYS, "bucket": "b"}).put(str(tmp_path / "a"), "n", "", "")
    assert found.value.id == "destination.size"


@pytest.fixture
def ran(monkeypatch):
    """What sftp was run with: (arguments, commands, the key's text and mode)."""
    seen = []

    def run(argv, **given):
        named = dict(word[2:].split("=", 1) for word in argv if word.startswith("-o"))
        seen.append((argv, given["stdin"], Path(named["IdentityFile"]).read_text()))
        return commands.Result(0, "sftp> ls -1a\n.\n..\nprod-1\nother\n", "")

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(sftp.shutil, "which", lambda *_arguments, **_more: "/usr/bin/sftp")
    return seen


def test_sftp_checks_the_host_and_shows_no_key(ran):
    server = sftp.Server(SFTP)
    assert server.names("prod-") == ["prod-1"] and server.label == "sftp://me@[fd00::1]:2222/srv/a/"
    argv, batch, key = ran[0]
    assert batch == 'cd "/srv/a"\nls -1a\n' and key == "KEY\n" and "KEY" not in " ".join(argv)
    assert argv[-1] == "me@[fd00::1]" and "-oStrictHostKeyChecking=yes" in argv and "-oBatchMode=yes" in argv
    assert "-oIdentitiesOnly=yes" in argv and "-oGlobalKnownHostsFile=none" in argv


def test_names_are_quoted_for_sftp():
    assert sftp.quoted('a "b" *\\') == '"a \\"b\\" *\\\\"'


def test_without_sftp_the_message_says_so(monkeypatch):
    monkeypatch.setattr(sftp.shutil, "which", lambda *_arguments, **_more: None)
    with pytest.raises(places.PlaceError) as found:
        sftp.Server(SFTP).names("")
    assert found.value.id == "destination.no_program"


def test_one_destination_that_fails_does_not_stop_the_others(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "file").write_text("")
    wanted = [{"directory": str(tmp_path / "file")}, {"directory": str(tmp_path / "good")}]
    rows = copies.keep(wanted, str(tmp_path / "a"), "p-20261129T120000Z.tar.gz", "p-", 1, str(tmp_path))
    assert rows[0]["id"] == "destination.refused" and rows[1]["deleted"] == []
    assert copies.failures(rows) == [rows[0]["error"]]
    assert (tmp_path / "good" / "p-20261129T120000Z.tar.gz").read_text() == "x"


def test_a_directory_that_is_full_keeps_no_part_of_an_archive(tmp_path, monkeypatch):
    archive, there = tmp_path / "a.tar", tmp_path / "nfs"
    archive.write_bytes(b"x" * 100)

    def full(_source, stream, _size):
        stream.write(b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(places.shutil, "copyfileobj", full)
    with pytest.raises(places.PlaceError, match="No space left"):
        places.Directory(str(there)).put(str(archive), "a.tar", "0", ".a.tar.partial")
    assert list(there.iterdir()) == []


def test_a_part_that_sftp_could_not_send_is_deleted(tmp_path, monkeypatch):
    asked = []

    def run(_self, lines):
        asked.append(lines)
        raise places.PlaceError("refused", "no space")

    monkeypatch.setattr(sftp.Server, "_run", run)
    with pytest.raises(places.PlaceError, match="no space"):
        sftp.Server({"host": "b.example"}).put(str(tmp_path / "a"), "a", "0", ".a.partial")
    assert asked[-1] == ['rm ".a.partial"']
