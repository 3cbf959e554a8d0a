# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask secrets in text that leaves a node: logs, configurations, objects, error messages. Standard library only.

When in doubt it masks: a masked word costs the reader little, a leaked secret costs a cluster. The time grows linearly
with the text: patterns begin with a word to search for, and everything that repeats has a bound.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import List

MASK = "********"
# A key that ends with one of these words holds a secret: DB_PASSWORD, client-secret. secretName and tokenTTL do not.
_WORDS = (
    r"(?:pass(?:word|wd|phrase|code|wort)s?|kennwort|(?<![a-z])pass|(?<=[;_-])pwd|secrets?|tokens?"
    r"|(?:api|access|private|secret|certificate|encryption|signing|master|psk|account|shared|preshared)[_-]?keys?"
    r"|client-key-data|credentials?|authorization|auth[_-]?pass|(?<![a-z])auth|(?<![a-z])psk"
    r"|cookie|signature|(?<![a-z])sig)[0-9]*"
)
# The end of a line, also in text that is quoted in other text.
_LINE_END = r"(?:\r?\n|\\{1,7}n)"
_KEY = re.compile(r"(?i)%s(?![\w-])" % _WORDS)
_PLAIN = re.compile(r"(?i)(?:true|false|null|none|nil|\{\}|\[\]|&?\*?)")
# After a key: an assignment, in whatever quotes and escapes; the end of an XML tag; the next item of a list.
_ASSIGNED = re.compile(r"(?:\\{0,7}[\"'])?\]?[ \t]*(?::=|=>|[:=\uff1a])[ \t]*")
_TAG = re.compile(r">")
_NEXT_ITEM = re.compile(r"\\{0,7}[\"']\s{0,200},\s{0,200}(?=\\{0,7}[\"'])|[ \t]*%s[ \t]*-[ \t]+" % _LINE_END)
_BLANKS = re.compile(r"[ \t]+(?!-)(?=\S)")
# The word that a key belongs to, and what may stand before a key that begins a line.
_TOKEN = re.compile(r"[^\s\"'`=,(\[{]*\Z")
_LINE_START = re.compile(r"[ \t]*(?:-[ \t]+)?(?:export[ \t]+|[A-Za-z]+=\"?)?[\"']?[\w.-]*\Z")
_QUOTE = re.compile(r"(\\{0,7})([\"'])")
_BRACKET = re.compile(r"\[[^\]]{0,4096}\]|\{[^{}\n]{1,4096}\}")
_BARE = re.compile(r"[^\s,;}\])\"'<\\]+")
_REST = re.compile(r"[^\r\n]*")
_BLOCK_MARK = re.compile(r"[|>][+-]?[0-9]*[ \t]*(?=%s|\Z)" % _LINE_END)
_INDENTED = re.compile(r"%s(?:[ \t]*(?=%s|\Z)|([ \t]+)(?:(?!%s)[^\n])+)" % (3 * (_LINE_END,)))
# A line below a key that is not a key or a list of keys itself.
_SCALAR_BELOW = re.compile(
    r"[ \t]*%s([ \t]+(?:-[ \t]+)?|-[ \t]+)(?![\"']?[\w./-]+[\"']?[ \t]*:(?:\s|\Z))(?=[^\s#-])" % _LINE_END
)

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----.*?(?:-----END \1-----|\Z)", re.S)
# The end of a private key whose beginning a limit on the size cut off.
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{16,}[\"']?\s*\Z")
_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
# The same in base64, except certificates and public keys.
_ENCODED = re.compile(r"LS0tLS1CRUdJTi(?!BDRVJUSUZJQ0FUR|BQVUJMSUMgS0VZ)[A-Za-z0-9+/=]+")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/_=-])")
_SHAPES = (
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),  # kubeadm's bootstrap token
    re.compile(r"\bK10[0-9a-f]{64}::\S+"),  # K3s's token
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),  # JSON web token
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gh[pousr]|github_pat|gl[a-z]{2,6}|hvs|xox[abp]|dckr_pat|npm|pypi|dop_v1)[-_.][A-Za-z0-9_-]{16,}"),
    re.compile(r"\b[sr]k_(?:live|test)_\w+"),
    re.compile(r"\bAGE-(?:SECRET-KEY|PLUGIN)-[A-Z0-9-]+"),
    re.compile(r"(?<=hooks\.slack\.com/services/)\S+"),
    re.compile(r"(?<=://)(?:[^\s/@:\"]{0,256}:[^\s\"]{0,512}|[^\s/@\"]{1,512})(?=@)"),  # the login in a URL
    # The login of a MySQL data source.
    re.compile(r"(?<![^\s\"'=])[^\s:@/\"']{1,64}:[^\s\"]{1,256}(?=@(?:tcp|unix)\()"),
)
# The first group stays.
_AFTER = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)(?!realm)[A-Za-z0-9+/=._~-]{6,}"),
    re.compile(r"(\b(?:mysql|mariadb)\w{0,20}\b[^\n]{0,200}?[ \t]-p)[^\s-]\S*"),
    re.compile(r"(\bsshpass[ \t]+-p[ \t]*)\S+"),
    re.compile(r"((?<![\w-])(?:-u|-U|--user|--proxy-user)[ \t=]+[\"']?)[^\s:]{1,256}:\S+"),
    re.compile(r"(?i)(\bcookie2?[ \t]*:[ \t]*)\S[^\r\n]*"),
    re.compile(r"(Private-Lines: *[0-9]+\s*\n)(?:[A-Za-z0-9+/=]+\s*(?:\n|\Z))+"),  # PuTTY
    re.compile(r"(?i)(\b(?:preshared-key|private-key|r[ow]community6?)[ \t]+)(?![-/])\S+"),
    re.compile(r"(?i)(\bpass(?:word|wd|phrase)[ \t]+(?:is|was)[ \t]+)\S+"),
    re.compile(r"(?i)(\bpass(?:word|wd|phrase)[ \t]+(?:for|of)[ \t][^\n:]{1,60}:[ \t]*)\S+"),
    re.compile(r"(?i)(\blogin failed for [^\s/]{1,64}/)\S+"),
    # Configurations that separate key and value by a blank: haproxy, keepalived, netrc, ini.
    re.compile(
        r"(?im)^([ \t]*(?:(?:user|userlist|login|machine)[ \t]+\S+[ \t]+){0,4}"
        r"(?:stats[ \t]+auth|(?:insecure-)?password|auth_pass|secret|token)[ \t]+)"
        r"(?!(?:for|is|was|has|from|of|to|in|on|and|or)\b|[:=])\S+"
    ),
)
# An environment: {"name": "X_TOKEN", "value": "..."} in YAML and JSON, in both orders.
_NAME = r"name\\{0,7}[\"']?\s{0,200}[:=]\s{0,200}\\{0,7}[\"']?[\w.-]{0,80}?%s\\{0,7}[\"']?" % _WORDS
_VALUE = r"value\\{0,7}[\"']?\s{0,200}[:=]\s{0,200}"
_GIVEN = r"\\{0,7}\"[^\"]{0,4096}\"|'[^'\n]{0,4096}'|[^\s,}]+"
_BETWEEN = r"(?:\s|\\{1,7}n){0,200},?(?:\s|\\{1,7}n){0,200}\\{0,7}[\"']?"
_NAMED = re.compile(r"(?i)(%s%s%s)(%s)" % (_NAME, _BETWEEN, _VALUE, _GIVEN))
_NAMED_LATER = re.compile(r"(?i)(\b%s)(%s)(?=%s%s)" % (_VALUE, _GIVEN, _BETWEEN, _NAME))
# The private members of a JSON web key: RFC 7518, 6.2.2 and 6.3.2.
_WEB_KEY = re.compile(r"(\"(?:d|p|q|dp|dq|qi|k)\\{0,7}\"\s{0,9}:\s{0,9}\\{0,7}\")[^\"\\]{1,4096}")
# kubeadm's certificate key, K3s's tokens, and digests, which look the same.
_HEXADECIMAL = re.compile(r"\b[0-9a-f]{32,}\b")
# A certificate key that is a separate word. The beginning stays, because the identifiers of containers look the same.
_LONG_HEXADECIMAL = re.compile(r"(?<![\w:/@.-])([0-9a-f]{8})[0-9a-f]{56}(?![\w/.-])")
_SECRET_OBJECT = re.compile(r"""(?m)^["']?kind["']?:\s*["']?Secret(?:List)?["']?\s*$""")


def masked(text: str) -> str:
    """Return the text without private keys, tokens, passwords, logins and the content of Secret objects."""
    return _masked(text, True)


def masked_message(text: str) -> str:
    """Mask an error message: like masked(), and long hexadecimal words too, which may be a program's keys or tokens."""
    return masked(_HEXADECIMAL.sub(MASK, text))


def _masked(text: str, decode: bool) -> str:
    text = _without_secret_objects(text)
    text = _BLOCK.sub(lambda found: "-----BEGIN %s----- %s" % (found.group(1), MASK), text)
    text = _without_headless_keys(text)
    text = _ENCODED.sub(MASK, text)
    if decode:
        text = _BASE64.sub(_decoded, text)
    for shape in _SHAPES:
        text = shape.sub(MASK, text)
    for shape in _AFTER:
        text = shape.sub(lambda found: found.group(1) + MASK, text)
    if '"kty' in text:
        text = _WEB_KEY.sub(lambda found: found.group(1) + MASK, text)
    for shape in (_NAMED, _NAMED_LATER):
        text = shape.sub(lambda found: found.group(1) + _quoted(found.group(2)), text)
    return _LONG_HEXADECIMAL.sub(r"\1" + MASK, _values(text))


def _decoded(found: re.Match[str]) -> str:
    """Return the mask if a word is a text in base64 that has something to mask."""
    try:
        text = base64.b64decode(found.group() + "=" * (-len(found.group()) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return found.group()
    readable = "\0" not in text and not text.startswith("-----BEGIN CERTIFICATE")
    return MASK if readable and _masked(text, False) != text else found.group()


def _values(text: str) -> str:
    """Mask the values of all keys that hold secrets."""
    parts: List[str] = []
    position = 0
    while True:
        key = _KEY.search(text, position)
        if not key:
            return "".join(parts) + text[position:]
        begin = _value_begin(text, key.start(), key.end())
        if begin is None:
            parts.append(text[position : key.end()])
            position = key.end()
            continue
        end, value = _value(text, key.start(), begin)
        parts.append(text[position:begin] + value)
        position = max(end, key.end())


def _value_begin(text: str, key: int, end: int) -> int | None:
    """Return where the value of a key begins, None if it has none. key, end: where the word of the key is."""
    for pattern in (_ASSIGNED, _NEXT_ITEM):
        found = pattern.match(text, end)
        if found:
            is_list = pattern is _NEXT_ITEM and found.group().rstrip(" \t").endswith("-")
            return found.end() if not is_list or _token(text, key).startswith("-") else None
    if _TAG.match(text, end) and _token(text, key).startswith("<"):
        return end + 1
    found = _BLANKS.match(text, end)
    return found.end() if found and _token(text, key).startswith("-") else None


def _token(text: str, position: int) -> str:
    """Return the beginning of the word that ends at a position."""
    found = _TOKEN.search(text[max(0, position - 80) : position])
    return re.split(r"\\{1,7}[nrt]", found.group())[-1] if found else ""


def _value(text: str, key: int, begin: int) -> tuple[int, str]:
    """Return (where a value ends, what stands in its place)."""
    quote = _QUOTE.match(text, begin)
    if quote:
        end = _closing(text, quote.end(), quote.group())
        return end, _quoted(text[begin:end])
    bracket = _BRACKET.match(text, begin)
    if bracket:
        return bracket.end(), bracket.group() if _PLAIN.fullmatch(bracket.group()) else MASK
    mark = _BLOCK_MARK.match(text, begin)
    if mark:
        end = _indented(text, mark.end(), _indentation(text, key))
        return end, MASK
    below = _SCALAR_BELOW.match(text, begin)
    if below and len(below.group(1).expandtabs()) >= _indentation(text, key) + ("-" not in below.group(1)):
        found = _REST.match(text, below.end())
        return found.end() if found else below.end(), below.group() + MASK
    line = text.rfind("\n", max(0, key - 400), key) + 1
    starts = key - line < 400 and _LINE_START.match(text[line:key])
    found = (_REST if starts else _BARE).match(text, begin)
    value = found.group() if found else ""
    kept = _PLAIN.fullmatch(value.strip().rstrip(",;"))
    return begin + len(value), value if kept or not value.strip() else MASK


def _closing(text: str, begin: int, mark: str) -> int:
    """Return the position after the quotation mark that ends a text, the end of the line if there is none."""
    position = begin
    while True:
        position = text.find(mark, position)
        if position < 0:
            found = _REST.match(text, begin)
            return found.end() if found else len(text)
        doubled = mark == "'" and text.startswith("''", position)
        if not doubled and text[position - 1] != "\\":
            return position + len(mark)
        position += 2 if doubled else 1


def _indentation(text: str, key: int) -> int:
    line = text[text.rfind("\n", 0, key) + 1 : key]
    return len(line) - len(line.lstrip(" \t"))


def _indented(text: str, begin: int, indentation: int) -> int:
    """Return where the lines end that are indented more than a key's line."""
    end = begin
    while True:
        found = _INDENTED.match(text, end)
        if not found or found.end() == end or found.group(1) and len(found.group(1)) <= indentation:
            return end
        end = found.end()


def _quoted(value: str) -> str:
    """Return the mask in the quotation marks of a value."""
    found = _QUOTE.match(value)
    mark = found.group() if found else ""
    return mark + MASK + mark if mark and value.endswith(mark) and len(value) >= 2 * len(mark) else MASK


def _without_headless_keys(text: str) -> str:
    """Mask the lines of base64 before the end of a private key whose beginning is missing."""
    position = 0
    parts: List[str] = []
    for end in _END.finditer(text):
        lines = text[position : end.start()].split("\n")
        last = lines.pop()
        while lines and _KEY_LINE.search(lines[-1][-200:]):
            lines.pop()
        parts.append("\n".join([*lines, MASK if last == "" else last]))
        position = end.end()
    return "".join(parts) + text[position:]


def _without_secret_objects(text: str) -> str:
    """Leave out YAML documents that are Secrets."""
    if not _SECRET_OBJECT.search(text):
        return text
    parts = re.split(r"(?m)^---[ \t]*$", text)
    return "---".join("\n# a Secret, left out\n" if _SECRET_OBJECT.search(part) else part for part in parts)
