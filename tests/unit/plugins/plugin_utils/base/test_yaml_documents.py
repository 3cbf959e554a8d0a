# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text stays text for the programs that read the files, which are written in Go."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.yaml_documents import dump

# K3s 1.36 read each of these, without quotes, as a number or a boolean.
OTHER_TYPES = ["y", "Y", "n", "N", "1e3", "1e+3", "12e34", "5E2", "1.5e3", "-.5", "0o17"]


@pytest.mark.parametrize(
    "text", [*OTHER_TYPES, "yes", "on", "true", "null", "~", "0x10", "1_0", "1:30", "", "2024-01-01"]
)
def test_text_that_looks_like_something_else_is_quoted(text):
    assert dump({"key": text, "keys": [text]}) == "key: '%s'\nkeys:\n  - '%s'\n" % (text, text)
    assert yaml.safe_load(dump({text: "a"})) == {text: "a"}


@pytest.mark.parametrize("text", ["node-1", "1e3a", "ny", "0o18", "10.0.0.1", "v1.36.3", "e3", "1e", "fd00::1"])
def test_other_text_is_not_quoted(text):
    assert dump({"key": text}) == "key: %s\n" % text


@pytest.mark.parametrize("value", [True, False, 0, 17, -3, 1.5, 1e20, None])
def test_numbers_and_booleans_keep_their_type(value):
    assert yaml.safe_load(dump({"key": value})) == {"key": value}
    assert "'" not in dump({"key": value})
