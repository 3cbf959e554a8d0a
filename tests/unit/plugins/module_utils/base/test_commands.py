# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands: exit status, environment, time limit, what is masked in error messages. Small files."""

from __future__ import annotations

import os
import sys

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands, text_files
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result


def shell(script, **options):
    return commands.run(["/bin/sh", "-c", script], **options)


def test_status_and_both_outputs():
    assert shell("echo one; echo two >&2; exit 3") == Result(3, "one\n", "two\n")
    assert shell("echo one; echo two >&2", merge=True) == Result(0, "one\ntwo\n", "")


def test_a_program_that_is_missing_and_one_that_takes_too_long():
    assert commands.run(["/nowhere/tool"]) == Result(
        commands.NOT_STARTED, "", "/nowhere/tool: No such file or directory"
    )
    assert shell("exec sleep 5", timeout=0.1)[::2] == (commands.TIMED_OUT, "sh did not finish within 0 s")


def test_standard_input_is_text_bytes_a_file_or_nothing(tmp_path):
    (tmp_path / "file").write_text("from a file")
    with open(tmp_path / "file", "rb") as stream:
        assert commands.run(["cat"], stdin=stream).out == "from a file"
    assert commands.run(["cat"], stdin="text").out == "text" and commands.run(["cat"], stdin=b"bytes").out == "bytes"
    assert commands.run(["cat"], timeout=5).out == ""


def test_the_environment_has_the_c_locale_and_the_usual_path(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("MINE", "here")
    assert shell('echo "$LC_ALL $MINE $OTHER"', env={"OTHER": "more"}).out == "C here more\n"
    assert shell('echo "$LC_ALL $MINE $OTHER"', env={"OTHER": "more"}, clean=True).out == "C  more\n"
    assert commands.environment(clean=True)["PATH"] == commands.PATH
    assert commands.environment()["PATH"] == commands.PATH + ":" + os.environ["PATH"]


def test_output_that_is_not_text_does_not_raise():
    assert commands.run([sys.executable, "-c", "import sys; sys.stdout.buffer.write(bytes([255]))"]).out == "\ufffd"


@pytest.mark.parametrize(
    "secret",
    ["abcdef.0123456789abcdef", "f" * 64, "K10" + "a" * 64 + "::server:" + "b" * 32, "postgres://k3s:hunter2@db/k3s"],
)
def test_the_complaint_is_the_end_of_what_was_said_without_secrets(secret):
    done = Result(1, "output", "first\nsecond\nit refused %s\n" % secret)
    assert done.complaint(2).startswith("second\nit refused") and "hunter2" not in done.complaint()
    assert not any(len(word) > 20 and word in done.complaint() for word in secret.split("://"))
    assert Result(7).complaint() == "exit status 7" and Result(1, "said\n").complaint() == "said"


def test_files_that_are_missing_are_empty(tmp_path):
    assert text_files.read_text(str(tmp_path / "none")) == "" and text_files.read_text(str(tmp_path)) == ""


def test_secrets_are_written_once_and_for_their_owner_only(tmp_path):
    path = str(tmp_path / "new/token")
    assert text_files.differs(path, "secret") and text_files.write_secret(path, "secret")
    assert not text_files.write_secret(path, "secret") and text_files.read_text(path) == "secret\n"
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.listdir(tmp_path / "new") == ["token"]


def test_a_write_that_fails_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("before")
    monkeypatch.setattr(
        os, "replace", lambda *_arguments: (item for item in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        text_files.write_atomically(str(path), b"after", 0o600)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]
