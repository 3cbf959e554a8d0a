# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups at real servers: encrypted, sent, read back, and what one destination refuses."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make, make_k3s, scheduled
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import copies
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age

RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
# Of the key of 32 times 0x42.
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"


@pytest.fixture(params=["s3", "sftp"])
def entry(request, tmp_path):
    if request.param == "sftp":
        return {"sftp": {**request.getfixturevalue("ssh_server").settings, "path": str(tmp_path / "sftp")}}
    settings = request.getfixturevalue("s3_server").settings
    made = copies.place_of({"s3": settings})
    with contextlib.suppress(Exception):
        made._open("PUT", made._base).close()
    made.delete(made.names(""))
    return {"s3": settings}


@pytest.fixture
def back_up(tmp_path, monkeypatch):
    """Make a small archive and send it. Return what became of it."""

    def made(name):
        with make.workplace(str(tmp_path)) as place:
            manifest = {"cluster": {"name": name, "uid": "12345678-9"}, "created": "2026-11-30T10:00:00Z"}
            return {**make.pack(place + "/archive", manifest, [], {"a": "b"}), "manifest": manifest}

    monkeypatch.setattr(make_k3s, "of_this_node", made)
    monkeypatch.setattr(make, "clean", lambda root="": None)
    monkeypatch.setattr(ownership, "lock_node", contextlib.nullcontext)
    monkeypatch.setattr(scheduled, "OUTGOING", str(tmp_path / "outgoing"))

    def run(*entries):
        settings = {"cluster": "prod", "keep": 2, "to": list(entries), "recipients": [RECIPIENT], "proxy": {}}
        return scheduled.backed_up(settings, scheduled.labels(entries), "cp-1", print)

    return run


def test_an_archive_for_the_holder_of_a_key_is_at_every_destination(entry, back_up, tmp_path):
    mounted = {"directory": str(tmp_path / "mounted")}
    sent = back_up(entry, mounted)
    assert sent.failures == [] and len(sent.places) == 2 and sent.name.endswith(".tar.gz.age")
    for wanted in (entry, mounted):
        target = tmp_path / "fetched"
        copies.place_of(wanted, str(tmp_path)).fetch(sent.name, str(target))
        with open(target, "rb") as stream:
            packed = b"".join(age.read(stream, IDENTITY))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            assert archive.getnames() == ["manifest.json", "a"]


def test_a_destination_that_refuses_does_not_keep_it_from_the_others(entry, back_up, tmp_path):
    kind = next(iter(entry))
    wrong = {"s3": {"secret_key": "wrong"}, "sftp": {"known_hosts": "[127.0.0.1]:1 ssh-ed25519 AAAA"}}[kind]
    sent = back_up({kind: {**entry[kind], **wrong}}, {"directory": str(tmp_path / "mounted")})
    assert sent.places == [str(tmp_path / "mounted") + "/"] and len(sent.failures) == 1
    assert entry[kind].get("secret_key", entry[kind].get("key")) not in sent.failures[0]
