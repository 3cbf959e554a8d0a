# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TOML reader gives what Python's own gives, and refuses what that refuses."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import toml
from hypothesis import given, settings, strategies as st

tomllib = pytest.importorskip("tomllib")  # Python 3.11

GOOD = [
    "",
    "a = \"x\" # comment\nb = 'y\\'\nc = true\nd = false\n",
    "a.b.c = 1\na.b.d = 0x1F\n[e]\nf = [1, [2, 3],\n  4, # comment\n]\n",
    '[host."https://r.lan:5000"]\n  client = [["/a.crt", "/a.key"]]\n[host."https://r.lan:5000".header]\n  x = ["1"]\n',
    'a = """\nx\\\n   y "" z"""\nb = \'\'\'\nx\\y\'\'\'\n',
    'a = {b = 1, "c d" = {e = "f"}}\nx = {}\n',
    "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n",
    "[a.b]\nc = 1\n[a]\nd = 2\n",
    'a = "\\u00e9\\U0001F600\\t"\r\nb = -1.5e3\r\n',
    'version = 3\n[plugins.\'io.containerd.cri.v1.images\'.registry.configs."r.lan".auth]\n  username = "u"\n',
]
BAD = [
    '[host."https://r.lan"]\nx = 1\n[host."https://r.lan"]\ny = 2\n',
    "a = 1\na = 2\n",
    "[a]\nb = 1\n[a.b]\nc = 1\n",
    "a = {b = 1}\n[a]\nc = 2\n",
    "a = {b = 1}\na.c = 2\n",
    "a = [1]\n[[a]]\n",
    'a = "x\n"\n',
    "a = 'x\n",
    "a = 1 b = 2\n",
    "a\n",
    "a = \n",
    "a = yes\n",
    "a = 01\n",
    "[a\n",
    'a = "\\ud800"\n',
    'a = "\\x41"\n',
    "a = [1 2]\n",
    "a = {b = 1\n",
    "= 1\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_good(text):
    assert toml.parse(text) == tomllib.loads(text)


@pytest.mark.parametrize("text", BAD)
def test_bad(text):
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    with pytest.raises(toml.TomlError, match=r"^line \d"):
        toml.parse(text)


KEYS = st.sampled_from(["a", "b", '"https://r.lan"', "a.b", "a.c"])
VALUES = st.sampled_from(['"x"', "'y'", "true", "[[1, 2]]", "{b = 1}", "3", '["x", "y"]'])
LINES = st.one_of(
    KEYS.map(lambda key: "[%s]" % key),
    KEYS.map(lambda key: "[host.%s]" % key),
    st.tuples(KEYS, VALUES).map(lambda pair: "%s = %s" % pair),
    st.just("# comment"),
)


@settings(max_examples=500)
@given(st.lists(LINES, max_size=8).map("\n".join))
def test_the_same_as_pythons(text):
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(toml.TomlError):
            toml.parse(text)
    else:
        assert toml.parse(text) == wanted


@given(st.text())
def test_any_text_in_quotes(text):
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
    assert toml.parse("a = %s" % quoted) == {"a": text}


@given(st.text(alphabet="[]{}=\"'\\#., \n\tab1", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        tomllib.loads(text)
    except ValueError:
        return
    toml.parse(text)
