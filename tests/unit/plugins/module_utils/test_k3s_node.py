# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running K3s on a node: the install script."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils import k3s_node, owned


@pytest.fixture
def record(monkeypatch):
    """A record of ownership that is kept in memory."""
    kept = {"files": {}, "artifacts": {}, "directories": [], "settings": {}}
    monkeypatch.setattr(owned, "read", lambda: kept)
    monkeypatch.setattr(owned, "write", lambda record: None)
    return kept


def script(tmp_path, text):
    path = tmp_path / "install.sh"
    path.write_text(text)
    return str(path)


def test_the_script_starts_and_downloads_nothing_and_what_it_leaves_is_ours(tmp_path, record):
    names = ("k3s.service", "k3s.service.env", "kubectl", "crictl")
    unit, env, link, other = (str(tmp_path / name) for name in names)
    text = "env >%s; : >%s; ln -s k3s %s\n" % (unit, env, link)
    k3s_node.install(script(tmp_path, text), "agent", [unit], [env, link, other])
    told = dict(line.split("=", 1) for line in (tmp_path / names[0]).read_text().splitlines())
    assert {name: value for name, value in told.items() if name.startswith("INSTALL_")} == {
        "INSTALL_K3S_EXEC": "agent",
        "INSTALL_K3S_SKIP_DOWNLOAD": "true",
        "INSTALL_K3S_SKIP_ENABLE": "true",
    }
    assert record["files"] == {path: {"backup": None} for path in (unit, env, link)}


def test_the_environment_that_is_ours_outlives_the_script(tmp_path, record):
    env = tmp_path / "k3s.service.env"
    env.write_text("HTTPS_PROXY=http://proxy\n")
    k3s_node.install(script(tmp_path, ": >%s\n" % env), "server", [], [str(env)])
    assert env.read_text() == "HTTPS_PROXY=http://proxy\n"


def test_a_script_that_fails_says_so_without_secrets(tmp_path, record):
    token = "K10" + "a" * 64 + "::server:" + "b" * 32
    with pytest.raises(k3s_node.K3sError, match="install script failed") as error:
        k3s_node.install(script(tmp_path, "echo no way with %s; exit 3\n" % token), "server", [], [])
    assert "no way" in str(error.value) and token not in str(error.value)
