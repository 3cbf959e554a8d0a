# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table of another project's variables is made of.

A dialect is a table with a row for each name. A row says what the name means here: an input, nothing, something that is
not taken over, or a question that only the user can answer.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Stands for an expression with gathered facts, which do not exist when the plan is made.
FROM_FACTS = "value-of-a-fact"


class Kind(str, enum.Enum):
    """What becomes of a name."""

    UNDERSTOOD = "understood"
    TRANSLATED = "translated"
    NO_EFFECT = "no_effect"
    NOT_TAKEN = "not_taken"
    DECIDE = "decide"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """What one name with its value means.

    inputs: what it is in this collection's inputs. kind: what becomes of it. text: why, or the question. wrote: the
    part of the value that this is about, as the user wrote it, empty for the whole. origins: by path of an input what
    the user wrote, where it is not the row's name.
    """

    kind: Kind
    inputs: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    wrote: str = ""


@dataclass(frozen=True)
class Context:
    """What a row may look at besides its own value.

    host: its inventory name. server: True for a control plane. get: the value of another name of the table, None if it
    is not set. own: this collection's inputs that are set. servers: names and addresses of the control planes.
    """

    host: str
    server: bool
    get: Callable[[str], Any]
    own: Mapping[str, Any] = field(default_factory=dict)
    servers: Sequence[str] = ()


Read = Callable[[Any, Context], "Outcome | list[Outcome]"]


@dataclass(frozen=True)
class Row:
    """One name of another project.

    to: what it is here, as the reference shows it: an input, or empty. read: what a value means; None if the value is
    never evaluated. note: for the reference, and for the plan where the value has no effect. asks: True if the name may
    need a decision, which the input `to` settles.
    """

    to: str = ""
    read: Read | None = None
    note: str = ""
    kind: Kind = Kind.NO_EFFECT
    asks: bool = False


@dataclass(frozen=True)
class Dialect:
    """Another project's way to write an inventory.

    page: where its variables are documented. rows: by name; a name with * stands for all that match, and counts after
    the exact ones. groups: such a group in an inventory shows that it is this project's. generic: names that others use
    too, so that they do not show it. defaults: values of the project that inventories refer to. distribution: what
    the project installs, if its inventories do not say so.
    """

    name: str
    page: str
    rows: Mapping[str, Row]
    groups: frozenset[str] = frozenset()
    generic: frozenset[str] = frozenset()
    defaults: Mapping[str, str] = field(default_factory=dict)
    distribution: str = ""

    def row(self, name: str, inputs: Container[str] = ()) -> Row | None:
        """Return the row of a name, None if the table has none. Families of names leave out those inputs."""
        if name in self.rows or name in inputs:
            return self.rows.get(name)
        found = self._patterns[1].fullmatch(name) if self._patterns[0] else None
        return self.rows[self._patterns[0][(found.lastindex or 1) - 1]] if found else None

    @functools.cached_property
    def _patterns(self) -> tuple[list[str], re.Pattern[str]]:
        """The names with *, and one expression with a group for each of them."""
        names = [name for name in self.rows if "*" in name]
        return names, re.compile("|".join("(%s)" % re.escape(name).replace(r"\*", ".*") for name in names))

    def marks(self, names: Sequence[str]) -> list[str]:
        """Return the names that only this project uses."""
        return [name for name in names if name in self.rows and name not in self.generic]


def is_empty(value: Any) -> bool:
    """Return True for a value that asks for nothing: none, an empty text, list or map."""
    return value is None or value == "" or value == [] or value == {}


def is_true(value: Any) -> bool:
    """Return True for a boolean that is true, also as text, as -e gives it."""
    return value is True or str(value).strip().lower() in ("true", "yes", "on", "1")


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return {"a": {"b": value}} of the path a.b."""
    head, _dot, rest = path.partition(".")
    return {head: nested(rest, value) if rest else value}


def as_list(value: Any) -> list[Any]:
    """Return a value as a list; text with commas is several."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def translated(inputs: Mapping[str, Any], text: str = "", **origins: str) -> Outcome:
    """Return the outcome of a name that is something in this collection's inputs."""
    return Outcome(Kind.TRANSLATED, inputs, text, origins)


def nothing(text: str = "") -> Outcome:
    """Return the outcome of a name that changes nothing here."""
    return Outcome(Kind.NO_EFFECT, {}, text)


def ask(text: str) -> Outcome:
    """Return the outcome of a name that needs a decision."""
    return Outcome(Kind.DECIDE, {}, text)


def left(text: str) -> Outcome:
    """Return the outcome of a name that is not taken over."""
    return Outcome(Kind.NOT_TAKEN, {}, text)


# Kinds of rows.


def same(note: str = "") -> Row:
    """A name with the same meaning here. The engine hands its value on."""
    return Row(note=note, kind=Kind.UNDERSTOOD)


def to(path: str, change: Callable[[Any], Any] | None = None, note: str = "") -> Row:
    """A name that is one input, with its value changed or not. An empty value is nothing."""

    def read(value: Any, _context: Context) -> Outcome:
        return nothing("not set") if is_empty(value) else translated(nested(path, change(value) if change else value))

    return Row(path, read, note)


def unused(note: str) -> Row:
    """A name that has no effect here, whatever its value."""
    return Row(note=note)


def addon(title: str, instead: str = "kube_manifests") -> Row:
    """A switch for something that this collection does not install."""

    def read(value: Any, _context: Context) -> Outcome:
        return left("not installed: %s (see %s)" % (title, instead)) if is_true(value) else nothing("off")

    return Row(instead, read, "not installed: %s" % title, Kind.NOT_TAKEN)


def part_of(name: str) -> Row:
    """A name that is read together with another one."""
    return Row(note="read with %s" % name, kind=Kind.UNDERSTOOD)


def question(text: str, *harmless: Any) -> Row:
    """A name that needs a decision, unless its value is empty or one of those. The engine names it in the question."""

    def read(value: Any, _context: Context) -> Outcome:
        plain = str(value).strip().lower()
        quiet = is_empty(value) or plain in [str(item).lower() for item in harmless]
        return nothing("as here") if quiet else ask(text)

    return Row("", read, text, Kind.DECIDE, True)


def not_taken(note: str, *harmless: Any) -> Row:
    """A setting that is not taken over, unless its value is empty or one of those."""

    def read(value: Any, _context: Context) -> Outcome:
        plain = str(value).strip().lower()
        quiet = is_empty(value) or plain in [str(item).lower() for item in harmless]
        return nothing("as here") if quiet else left(note)

    return Row("", read, note, Kind.NOT_TAKEN)
