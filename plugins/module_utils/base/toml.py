# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read TOML, as strictly as containerd does: Python has a reader from 3.11 on. Standard library only.

https://toml.io/en/v1.0.0. Dates are returned as text.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Set, Tuple, Union

Table = Dict[str, Any]
# Where a table is: its keys and, within an array of tables, the position.
Path = Tuple[Union[str, int], ...]
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t]|\r?\n|#[^\n]*)*")
_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MULTI = re.compile(
    r'"""\r?\n?((?:[^"\\]|\\[\s\S]|"(?!""))*"{0,2})"""|\'\'\'\r?\n?((?:[^\']|\'(?!\'\'))*\'{0,2})\'\'\''
)
_STRING = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\n])*)"|\'([^\'\x00-\x08\x0a-\x1f\x7f]*)\'')
_ESCAPE = re.compile(r"\\(?:([btnfr\"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([ \t]*\r?\n[ \t\r\n]*)|[\s\S]?)")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_SCALAR = re.compile(r"[A-Za-z0-9_.:+-]+(?: [0-9:.Z+-]+)?")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)|0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+")
_FLOAT = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|nan)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{2}:[0-9]{2}.*")


class TomlError(ValueError):
    """A text is not TOML. The message has the line and never a value."""


def parse(text: str) -> Table:
    """Return the content of a TOML document, tables in their order. Raise TomlError."""
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self.root: Table = {}
        self.declared: Set[Path] = set()  # tables with a header of their own, and those that keys or values made

    def fail(self, what: str) -> TomlError:
        return TomlError("line %d %s" % (self.text.count("\n", 0, self.position) + 1, what))

    def skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return bool(found)

    def take(self, word: str) -> bool:
        there = self.text.startswith(word, self.position)
        self.position += len(word) if there else 0
        return there

    def document(self) -> Table:
        table: Table = self.root
        path: Path = ()
        while True:
            self.skip(_BLANK)
            if self.position >= len(self.text):
                return self.root
            if self.take("["):
                table, path = self.header(self.take("["))
            else:
                self.pair(table, path)
            if not self.skip(_END):
                raise self.fail("has more than one entry")

    def header(self, of_array: bool) -> tuple[Table, Path]:
        """Read a table's header. Return the table and its path."""
        keys = self.keys()
        if not self.take("]]" if of_array else "]"):
            raise self.fail("has a header without its end")
        table: Table = self.root
        path: Path = ()
        for key in keys[:-1]:
            table, path = self.enter(table, path, key)
        key = keys[-1]
        if of_array:
            items = table.setdefault(key, [])
            if not isinstance(items, list) or path + (key,) in self.declared:
                raise self.fail("declares %s twice" % ".".join(keys))
            items.append({})
            return items[-1], path + (key, len(items) - 1)
        if path + (key,) in self.declared or not isinstance(table.setdefault(key, {}), dict):
            raise self.fail("declares the table %s twice" % ".".join(keys))
        self.declared.add(path + (key,))
        return table[key], path + (key,)

    def enter(self, table: Table, path: Path, key: str) -> tuple[Table, Path]:
        """Return the table below a key, which need not exist, and its path."""
        below = table.setdefault(key, {})
        if isinstance(below, list) and below and path + (key,) not in self.declared:
            return below[-1], path + (key, len(below) - 1)
        if not isinstance(below, dict) or path + (key, "{}") in self.declared:
            raise self.fail("takes the value %s for a table" % key)
        return below, path + (key,)

    def pair(self, table: Table, path: Path) -> None:
        """Read key = value into a table."""
        keys = self.keys()
        if not self.take("="):
            raise self.fail("is not a key with a value")
        for key in keys[:-1]:
            table, path = self.enter(table, path, key)
            self.declared.add(path)
        if keys[-1] in table:
            raise self.fail("sets %s twice" % ".".join(keys))
        self.skip(_SPACE)
        table[keys[-1]] = value = self.value()
        if isinstance(value, (dict, list)):
            own = path + (keys[-1],)
            self.declared |= {own, own + ("{}",)}

    def keys(self) -> list[str]:
        """Read a key, which may have dots."""
        found: List[str] = []
        while True:
            self.skip(_SPACE)
            bare = _BARE.match(self.text, self.position)
            if bare:
                self.position = bare.end()
                found.append(bare.group())
            else:
                found.append(self.string(_STRING))
            self.skip(_SPACE)
            if not self.take("."):
                return found

    def string(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.position)
        if not found:
            raise self.fail("has text that does not end, or no text where it is expected")
        text = _ESCAPE.sub(self.unescaped, found.group(1)) if found.group(2) is None else found.group(2)
        self.position = found.end()
        return text

    def unescaped(self, found: re.Match[str]) -> str:
        short, four, eight, line = found.groups()
        if short:
            return _ESCAPES[short]
        if four or eight:
            number = int(four or eight, 16)
            if number < 0xD800 or 0xDFFF < number < 0x110000:
                return chr(number)
        elif line:
            return ""
        raise self.fail("has an unknown escape")

    def value(self) -> Any:
        """Read a value."""
        if self.text.startswith(('"""', "'''"), self.position):
            return self.string(_MULTI)
        if self.text.startswith(('"', "'"), self.position):
            return self.string(_STRING)
        if self.take("["):
            return self.array()
        if self.take("{"):
            return self.inline()
        found = _SCALAR.match(self.text, self.position)
        word = found.group() if found else ""
        self.position += len(word)
        if word in ("true", "false"):
            return word == "true"
        if _INTEGER.fullmatch(word):
            return int(word.replace("_", ""), 0)
        if _FLOAT.fullmatch(word):
            return float(word.replace("_", ""))
        if _DATE.fullmatch(word):
            return word
        raise self.fail("has no value")

    def array(self) -> list[Any]:
        found: List[Any] = []
        self.skip(_BLANK)
        while not self.take("]"):
            found.append(self.value())
            self.skip(_BLANK)
            comma = self.take(",")
            self.skip(_BLANK)
            if not comma and not self.text.startswith("]", self.position):
                raise self.fail("has an array without its end")
        return found

    def inline(self) -> Table:
        inner = _Reader(self.text)
        inner.position = self.position
        inner.skip(_SPACE)
        more = not inner.take("}")
        while more:
            inner.pair(inner.root, ())
            inner.skip(_SPACE)
            more = inner.take(",")
            if not more and not inner.take("}"):
                raise inner.fail("has an inline table without its end")
        self.position = inner.position
        return inner.root
