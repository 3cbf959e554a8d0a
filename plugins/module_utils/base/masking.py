# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask secrets in text that leaves a node: logs, configurations, objects, error messages. Standard library only.

When in doubt it masks: a masked word costs the reader little, a leaked secret costs a cluster.
"""

from __future__ import annotations

import re

MASK = "********"
# A key that ends with one of these words holds a secret: DB_PASSWORD, client-secret. secretName and tokenTTL do not.
_WORDS = (
    r"pass(?:word|wd|phrase|code)s?|[_-]pwd|secrets?|tokens?"
    r"|(?:api|access|private|secret|certificate|encryption|signing|master|psk)[_-]?keys?"
    r"|client-key-data|credentials?|authorization|auth[_-]?pass|(?<![a-z-])_?auth|(?<![a-z])psk"
)
_KEY = r"(?<![\w.-])-{0,2}[\w.-]*?(?:%s)[0-9]*" % _WORDS
_STRING = r"""\\"(?:(?!\\").)*\\"|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
_PLAIN = re.compile(r"(?i)(?:true|false|null|none|nil|\{\}|\[\]|[|>][+-]?[0-9]*|&?\*?)[,;]?")

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----.*?(?:-----END \1-----|\Z)", re.S)
# The same in base64, except certificates and public keys.
_ENCODED = re.compile(r"LS0tLS1CRUdJTi(?!BDRVJUSUZJQ0FUR|BQVUJMSUMgS0VZ)[A-Za-z0-9+/=]+")
_SHAPES = (
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),  # kubeadm's bootstrap token
    re.compile(r"\bK10[0-9a-f]{64}::\S+"),  # K3s's token
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),  # JSON web token
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gh[pousr]|github_pat|glpat|hvs|xox[abp])[-_.][A-Za-z0-9_-]{16,}"),
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s+)(?!realm)[A-Za-z0-9+/=._~-]{6,}")
_LOGIN_IN_URL = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@\"']+@")
# An environment: {"name": "X_TOKEN", "value": "..."} in YAML and JSON.
_NAMED = re.compile(
    r"""(?i)(name\\?["']?\s*[:=]\s*\\?["']?[\w.-]*?(?:%s)[0-9]*\\?["']?\s*,?\s*"""
    r"""\\?["']?value\\?["']?\s*[:=]\s*)(%s|[^\s,}]+)""" % (_WORDS, _STRING)
)
# Arguments in a list: ["--token", "..."], or one on each line.
_LISTED = re.compile(
    r"""(?i)(--[\w-]*?(?:%s)["']?(?:\s*,\s*|[ \t]*\n[ \t]*-[ \t]+))(%s|[^\s,\]]+)""" % (_WORDS, _STRING)
)
_FLAG = re.compile(r"""(?i)((?<![\w-])--?[\w-]*?(?:%s)[ \t]+)(?!-)(%s|\S+)""" % (_WORDS, _STRING))
# A YAML block scalar: password: | and the more indented lines below it.
_FOLDED = re.compile(
    r"""(?im)^([ \t]*)((?:-[ \t]+)?["']?[\w.-]*?(?:%s)[0-9]*["']?[ \t]*:[ \t]*[|>][+-]?[0-9]*)[ \t]*\n"""
    r"""(?:(?:\1[ \t]+\S.*|[ \t]*)(?:\n|\Z))+""" % _WORDS
)
_WHOLE_LINE = re.compile(
    r"""(?im)^([ \t]*(?:-[ \t]+|export[ \t]+|[A-Za-z]+="?)?["']?%s["']?[ \t]*[:=][ \t]*)(\S.*)$""" % _KEY
)
_PAIR = re.compile(r"""(?i)(%s\\?["']?[ \t]*[:=][ \t]*)(\[[^\]]*\]|%s|[^\s,;}\]"'\\]+)""" % (_KEY, _STRING))
# Configurations that separate key and value by a blank: haproxy, keepalived, netrc, ini.
_BLANK = re.compile(
    r"(?im)^([ \t]*(?:(?:user|userlist|login|machine)[ \t]+\S+[ \t]+)*"
    r"(?:stats[ \t]+auth|(?:insecure-)?password|auth_pass|secret|token)[ \t]+)(?!for\b|is\b|was\b|has\b|from\b)(\S+)"
)
# kubeadm's certificate key, K3s's tokens, and digests, which look the same.
_HEXADECIMAL = re.compile(r"\b[0-9a-f]{32,}\b")
_SECRET_OBJECT = re.compile(r"""(?m)^["']?kind["']?:\s*["']?Secret["']?\s*$""")


def masked(text: str) -> str:
    """Return the text without private keys, tokens, passwords, logins and the content of Secret objects."""
    text = _without_secret_objects(text)
    text = _BLOCK.sub(lambda found: "-----BEGIN %s----- %s" % (found.group(1), MASK), text)
    for shape in (_ENCODED, *_SHAPES):
        text = shape.sub(MASK, text)
    text = _LOGIN_IN_URL.sub(lambda found: found.group(1) + MASK + "@", text)
    text = _SCHEME.sub(lambda found: found.group(1) + found.group(2) + MASK, text)
    text = _FOLDED.sub(lambda found: "%s%s %s\n" % (found.group(1), found.group(2), MASK), text)
    for shape in (_NAMED, _LISTED, _FLAG, _PAIR, _WHOLE_LINE, _BLANK):
        text = shape.sub(_value_masked, text)
    return text


def masked_message(text: str) -> str:
    """Mask an error message: like masked(), and long hexadecimal words too, which may be a program's keys or tokens."""
    return _HEXADECIMAL.sub(MASK, masked(text))


def _value_masked(found: re.Match[str]) -> str:
    """Return the key unchanged and the mask in place of its value, in the same quotation marks."""
    key, value = found.group(1), found.group(2)
    if _PLAIN.fullmatch(value.strip()) or MASK in value:
        return found.group(0) if _PLAIN.fullmatch(value.strip()) else key + _quoted(value)
    return key + _quoted(value)


def _quoted(value: str) -> str:
    for mark in ('\\"', '"', "'"):
        if value.startswith(mark) and value.endswith(mark) and len(value) >= 2 * len(mark):
            return mark + MASK + mark
    return MASK


def _without_secret_objects(text: str) -> str:
    """Leave out YAML documents that are Secrets."""
    if not _SECRET_OBJECT.search(text):
        return text
    parts = re.split(r"(?m)^---[ \t]*$", text)
    return "---".join("\n# a Secret, left out\n" if _SECRET_OBJECT.search(part) else part for part in parts)
