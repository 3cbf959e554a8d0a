# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption for keys: the numbers of the RFCs, the format of age, and what happens without the cipher."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import recipients
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# A key of 32 times 0x42, as age's own test vectors have it: https://github.com/C2SP/CCTV/tree/main/age
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
OTHER = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"


def opened(path, identity=IDENTITY):
    with open(path, "rb") as stream:
        return b"".join(age.read(stream, identity))


@pytest.fixture
def made(tmp_path):
    def make(content=b"the keys of the cluster", wanted=(RECIPIENT,)):
        (tmp_path / "plain").write_bytes(content)
        target = str(tmp_path / "sealed")
        recipients.encrypt(str(tmp_path / "plain"), target, wanted)
        return target

    return make


def test_curve25519_multiplies_as_the_rfc_does():
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    wanted = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert recipients.x25519(scalar, point).hex() == wanted


def test_the_cipher_is_that_of_the_rfc():
    # RFC 8439, section 2.8.2, without its additional data: the text is the same, the tag is not.
    key = bytes(range(0x80, 0xA0))
    plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    plain += b"sunscreen would be it."
    nonce = bytes.fromhex("070000004041424344454647")
    sealed = recipients.Cipher(key).seal(nonce, plain)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed == ChaCha20Poly1305(key).encrypt(nonce, plain, None)


def test_keys_are_read_as_age_writes_them():
    secret = recipients.decoded(IDENTITY, "age-secret-key-")
    assert secret == b"\x42" * 32
    assert recipients.key_of(RECIPIENT) == recipients.x25519(secret, recipients.BASE_POINT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        RECIPIENT[:-1],
        RECIPIENT[:-1] + "q",
        RECIPIENT.title(),
        IDENTITY,
        "ssh-ed25519 AAAA",
        RECIPIENT + " ",
    ],
)
def test_what_is_not_a_recipient(text):
    with pytest.raises(recipients.RecipientError):
        recipients.key_of(text)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200000])
def test_only_the_holder_of_the_key_reads_it(made, size):
    content = os.urandom(size)
    path = made(content)
    assert opened(path) == content
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.path.getsize(path) > size


def test_each_recipient_reads_it_and_nobody_else(made):
    path = made(wanted=(OTHER, RECIPIENT))
    assert opened(path) == b"the keys of the cluster"
    # A file of age-keygen, with its comments.
    assert opened(path, "# created: 2026\n# public key: %s\n%s\n" % (RECIPIENT, IDENTITY))
    with pytest.raises(age.ForKeys):
        opened(made_for_other(path))
    for wrong in ("", "hunter2", IDENTITY[:-1] + "Q"):
        with pytest.raises(age.ForKeys):
            opened(path, wrong)


def made_for_other(path):
    target = path + "-other"
    recipients.encrypt(__file__, target, [OTHER])
    return target


@pytest.mark.parametrize("cut", [-1, -20, 5, 50, 160])
def test_a_file_that_was_cut_short_is_found_out(made, cut):
    with open(made(), "rb") as stream:
        content = stream.read()
    with pytest.raises(age.CutShort):
        b"".join(age.read(io.BytesIO(content[:cut]), IDENTITY))


def test_a_file_that_was_changed_is_found_out(made):
    with open(made(b"x" * 70000), "rb") as stream:
        content = bytearray(stream.read())
    content[300] ^= 1
    with pytest.raises(age.Changed):
        b"".join(age.read(io.BytesIO(bytes(content)), IDENTITY))


def test_without_libcrypto_it_says_so(made, monkeypatch):
    monkeypatch.setattr(recipients, "LIBRARIES", ("libno-such.so",))
    with pytest.raises(recipients.RecipientError, match="libcrypto of OpenSSL 1.1 or newer is missing"):
        made()


@pytest.mark.skipif(not shutil.which("age"), reason="compares with age")
def test_age_itself_reads_it(made, tmp_path):
    (tmp_path / "key").write_text(IDENTITY + "\n")
    command = ["age", "--decrypt", "--identity", str(tmp_path / "key"), made(b"z" * 70000)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"z" * 70000
