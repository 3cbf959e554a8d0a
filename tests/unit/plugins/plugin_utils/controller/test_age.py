# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted files: what is written can be read, by age's own file too, and every kind of damage is found."""

from __future__ import annotations

import base64
import io
import random

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age

# "kubewright", encrypted by age 1.1.1 with the passphrase "correct horse".
BY_AGE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBHWHZ1NkJkVTE1Y0RLZjRjSGRsMlpRIDE4ClpsV1Vqcl"
    "RLV1h2M3V5THFJUHk5VFQ5TlNqTjRrS1VuajcyMTlLVzM2d1kKLS0tIEQzNzRYWWVXcjh2ZDU2M0pudW1MVnpQ"
    "U3JuQmQzZ2RqYUpCQjhnZmxkdlUKCvnPZhukv+7p41FsX60gxiojTyvouJ8cGBG2hIsz9ErqDoDaoSgnqQB3"
)


def encrypted(data, passphrase="secret"):
    stream = io.BytesIO()
    writer = age.Writer(stream, passphrase, cost=2)
    half = len(data) // 3
    writer.write(data[:half])
    writer.write(data[half:])
    writer.close()
    return stream.getvalue()


def decrypted(data, passphrase="secret"):
    return b"".join(age.read(io.BytesIO(data), passphrase))


@pytest.mark.parametrize("size", [0, 1, age.CHUNK - 1, age.CHUNK, age.CHUNK + 1, 3 * age.CHUNK])
def test_what_is_written_can_be_read(size):
    data = random.Random(size).randbytes(size)
    assert decrypted(encrypted(data)) == data


def test_a_file_of_age_itself_is_read():
    assert decrypted(BY_AGE, "correct horse") == b"kubewright"
    with pytest.raises(age.WrongPassphrase):
        decrypted(BY_AGE, "correct horses")


def test_nothing_of_the_content_is_in_the_file():
    assert b"kubewright" not in encrypted(b"kubewright" * 100)


def test_a_file_that_was_cut_short_is_found_wherever_it_ends():
    whole = encrypted(bytes(3 * age.CHUNK))
    for length in [10, 60, 140, 170, 200, 70000, len(whole) - age.CHUNK - age.TAG, len(whole) - 1]:
        with pytest.raises(age.CutShort):
            decrypted(whole[:length])


def test_a_flipped_bit_is_found_wherever_it_is():
    whole = encrypted(bytes(3 * age.CHUNK))
    for place in range(0, len(whole) - age.CHUNK - age.TAG, 997):
        changed = bytearray(whole)
        changed[place] ^= 4
        with pytest.raises(age.AgeError) as found:
            decrypted(bytes(changed))
        if place > 200:
            assert found.type is age.Changed


def test_an_absurd_cost_is_not_paid():
    with pytest.raises(age.NotForPassphrase):
        decrypted(encrypted(b"").replace(b" 2\n", b" 60\n", 1))
