# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are encrypted for holders of a key that the machine does not have, in the format of age. Standard library
only.

https://github.com/C2SP/C2SP/blob/main/age.md: `age --decrypt --identity KEYFILE` reads them. The cipher is the one of
OpenSSL's libcrypto, which Python's own ssl module loads too.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import hmac
import os
from typing import Any, BinaryIO, List, Sequence

FIRST_LINE = b"age-encryption.org/v1\n"
LABEL = b"age-encryption.org/v1/X25519"
CHUNK, TAG = 64 << 10, 16
PREFIX = "age"
LIBRARIES = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so")
GET_TAG = 0x10  # EVP_CTRL_AEAD_GET_TAG of openssl/evp.h
# https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki
LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# Curve25519: https://www.rfc-editor.org/rfc/rfc7748
PRIME = 2**255 - 19
BASE_POINT = b"\x09" + bytes(31)


class RecipientError(Exception):
    """A file cannot be encrypted for a recipient; the message says why."""


def key_of(recipient: str) -> bytes:
    """Return the public key in a recipient (age1…). Raise RecipientError."""
    return decoded(recipient, PREFIX)


def decoded(text: str, prefix: str) -> bytes:
    """Return the 32 bytes of a text in Bech32 with this prefix. Raise RecipientError."""
    name, _one, letters = text.lower().rpartition("1")
    if text not in (text.lower(), text.upper()) or name != prefix or set(letters) - set(LETTERS):
        raise RecipientError("it does not begin with %s1, or has other characters than Bech32 has" % prefix)
    values = [LETTERS.index(letter) for letter in letters]
    expanded = [ord(letter) >> 5 for letter in name] + [0] + [ord(letter) & 31 for letter in name]
    if _checksum(expanded + values) != 1:
        raise RecipientError("a character of it is wrong or missing: its checksum does not match")
    number = 0
    for value in values[:-6]:
        number = number << 5 | value
    rest = (len(values) - 6) * 5 - 256
    if not 0 <= rest < 5 or number & ((1 << rest) - 1):
        raise RecipientError("it does not have 32 bytes")
    return (number >> rest).to_bytes(32, "big")


def _checksum(values: Sequence[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate(GENERATOR):
            found ^= factor if top >> bit & 1 else 0
    return found


def encrypt(source: str, target: str, recipients: Sequence[str]) -> None:
    """Write an encrypted copy of a file for root only. Raise RecipientError or OSError."""
    key, nonce = os.urandom(16), os.urandom(16)
    head = FIRST_LINE + b"".join(_stanza(key_of(recipient), key) for recipient in recipients) + b"---"
    with open(source, "rb") as plain, os.fdopen(_new(target), "wb") as stream:
        mac = hmac.new(derived(key, b"", b"header"), head, hashlib.sha256).digest()
        stream.write(head + b" " + _text(mac) + b"\n" + nonce)
        _payload(plain, stream, derived(key, nonce, b"payload"))
        stream.flush()
        os.fsync(stream.fileno())


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _stanza(recipient: bytes, key: bytes) -> bytes:
    """Return the lines of the header with which a recipient gets the file's key."""
    own = os.urandom(32)
    share = x25519(own, BASE_POINT)
    secret = x25519(own, recipient)
    if not any(secret):
        raise RecipientError("the recipient is not a key")
    wrapped = derived(secret, share + recipient, LABEL)
    return b"-> X25519 %s\n%s\n" % (_text(share), _text(Cipher(wrapped).seal(bytes(12), key)))


def _payload(plain: BinaryIO, stream: BinaryIO, key: bytes) -> None:
    """Encrypt what is left of a file, chunk by chunk; the last one has a mark."""
    cipher, number = Cipher(key), 0
    chunk = plain.read(CHUNK)
    while True:
        following = plain.read(CHUNK) if len(chunk) == CHUNK else b""
        nonce = number.to_bytes(11, "big") + (b"\0" if following else b"\1")
        stream.write(cipher.seal(nonce, chunk))
        if not following:
            return
        number, chunk = number + 1, following


class Cipher:
    """ChaCha20-Poly1305 with one key."""

    def __init__(self, key: bytes) -> None:
        self._key, self._library = key, _library()

    def seal(self, nonce: bytes, plain: bytes) -> bytes:
        """Return the encrypted text with its tag. Raise RecipientError."""
        crypto = self._library
        context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        out, tag, length = (
            ctypes.create_string_buffer(len(plain) + TAG),
            ctypes.create_string_buffer(TAG),
            ctypes.c_int(),
        )
        try:
            kind = ctypes.c_void_p(crypto.EVP_chacha20_poly1305())
            good: List[int] = [
                crypto.EVP_EncryptInit_ex(context, kind, None, self._key, nonce),
                crypto.EVP_EncryptUpdate(context, out, ctypes.byref(length), plain, len(plain)),
            ]
            size = length.value
            good += [
                crypto.EVP_EncryptFinal_ex(context, ctypes.byref(out, size), ctypes.byref(length)),
                crypto.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG, tag),
            ]
        finally:
            crypto.EVP_CIPHER_CTX_free(context)
        if good != [1, 1, 1, 1] or size != len(plain):
            raise RecipientError("libcrypto of this machine does not encrypt with ChaCha20-Poly1305 (FIPS mode?)")
        return out.raw[:size] + tag.raw


def _library() -> Any:
    """Return libcrypto. Raise RecipientError."""
    for name in LIBRARIES:
        try:
            found = ctypes.CDLL(name)
            found.EVP_CIPHER_CTX_new.restype = found.EVP_chacha20_poly1305.restype = ctypes.c_void_p
            return found
        except (OSError, AttributeError):
            continue
    raise RecipientError("libcrypto of OpenSSL 1.1 or newer is missing on %s; install it" % os.uname()[1])


def derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF with SHA-256: https://www.rfc-editor.org/rfc/rfc5869"""
    middle = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(middle, info + b"\x01", hashlib.sha256).digest()


def x25519(scalar: bytes, point: bytes) -> bytes:
    """Return the product of a point of Curve25519: RFC 7748, section 5."""
    number = int.from_bytes(scalar, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    first = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, first, 1, 0
    for bit in reversed(range(255)):
        if swap ^ (number >> bit & 1):
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = number >> bit & 1
        plus, minus = (x2 + z2) % PRIME, (x2 - z2) % PRIME
        plus2, minus2 = plus * plus % PRIME, minus * minus % PRIME
        part, other = (x3 - z3) * plus % PRIME, (x3 + z3) * minus % PRIME
        x3, z3 = (part + other) ** 2 % PRIME, first * (part - other) ** 2 % PRIME
        difference = (plus2 - minus2) % PRIME
        x2, z2 = plus2 * minus2 % PRIME, difference * (plus2 + 121665 * difference) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
