# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages name what exists: options and inputs, their defaults, playbooks, files, scenarios, headings. Examples work."""

from __future__ import annotations

import ast
import re
import shlex

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.foreign import dialects
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import packaged_components
from ansible_collections.kubewright.cluster.tests.unit.docs.pages import PAGES, ROOT, blocks, headings, name_of

OPTIONS = {**schema.run_specification(), "report_json": {"type": "path"}}
KNOWN = {**schema.specification(), **OPTIONS}
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
# Not names of the collection: Kubespray's and others' are in the tables of inputs/foreign.
OTHERS = {"k3s_cluster", "kube_control_plane", "kube_node", "reset_nodes", "upgrade_backp"}
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=name_of)


def test_every_option_of_a_playbook_is_on_the_page_of_playbooks():
    text = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    assert [name for name in sorted(OPTIONS) if "`%s`" % name not in text] == []


def test_every_option_that_a_callback_reads_is_known():
    source = (ROOT / "playbooks" / "callback_plugins" / "kubewright_report.py").read_text(encoding="utf-8")
    assert set(re.findall(r'extra_vars\.get\("(\w+)"', source)) == {"report_json"}


@EVERY_PAGE
def test_options_and_inputs_exist(page):
    prefixes = "|".join(sorted({*schema.PREFIXES, *schema.RUN_PREFIXES, "report_"}))
    names = re.findall(r"`-?e? ?((?:%s)[a-z0-9_]+)\b" % prefixes, page.read_text(encoding="utf-8"))
    assert [name for name in names if name not in KNOWN and name not in OTHERS and not dialects.knows(name)] == []


@EVERY_PAGE
def test_defaults_are_those_of_the_specification(page):
    """In tables of options: a default in code is the specification's. Words are allowed where it has none."""
    wrong = []
    for name, shown in re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", page.read_text(encoding="utf-8"), flags=re.M):
        default = OPTIONS.get(name, {}).get("default")
        if name in OPTIONS and default not in (None, "", []) and str(default).lower() != shown.lower():
            wrong.append((name, shown, default))
    assert wrong == []


def commands(page):
    """Yield the words of each command of this collection's playbooks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command in re.findall(r"ansible-playbook kubewright\.cluster\.[a-z].*", text):
        line = command.partition("`")[0].partition("    #")[0].partition("  #")[0].replace("…", "x")
        yield shlex.split(line, comments=False)


@EVERY_PAGE
def test_commands_name_playbooks_and_their_options(page):
    wrong = []
    for words in commands(page):
        playbook = words[1].rpartition(".")[2]
        if playbook not in PLAYBOOKS:
            wrong.append(words[1])
        given = [after.partition("=")[0] for word, after in zip(words, words[1:], strict=False) if word == "-e"]
        wrong += [name for name in given if re.fullmatch(r"\w+", name) and name not in KNOWN]
    assert wrong == []


# What an example leaves out with a placeholder.
PLACEHOLDERS = (
    ("age1…", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"),
    ("8b31...", "a1" * 32),
    ("{{ vault_backup_key }}", "-----BEGIN PRIVATE KEY-----\\nMC4=\\n-----END PRIVATE KEY-----\\n"),
    ("{{ lookup('file', 'ca.pem') }}", "-----BEGIN CERTIFICATE-----\\nMC4=\\n-----END CERTIFICATE-----\\n"),
    ("{{ vault_s3_access_key }}", "access"),
    ("{{ vault_s3_secret_key }}", "secret"),
    (
        "{{ lookup('ansible.builtin.file', 'db-ca.crt') }}",
        "-----BEGIN CERTIFICATE-----\\nMC4=\\n-----END CERTIFICATE-----\\n",
    ),
)


@EVERY_PAGE
def test_examples_of_inputs_are_accepted(page):
    wrong = []
    for language, block in blocks(page):
        if language != "yaml":
            continue
        for placeholder, text in PLACEHOLDERS:
            block = block.replace(placeholder, text)
        content = yaml.safe_load(block)
        top = content if isinstance(content, dict) else {}
        maps = [top, *(group.get("vars") or {} for group in top.values() if isinstance(group, dict))]
        maps += [row.get("vars") or {} for row in content if isinstance(row, dict)] if isinstance(content, list) else []
        for given in maps:
            inputs = {name: value for name, value in given.items() if schema.is_input(name)}
            wrong += [problem.text for problem in schema.validate(inputs)[1]]
            wrong += [problem.text for problem in schema.unknown(given)]
    assert wrong == []


@EVERY_PAGE
def test_links_within_the_documentation_lead_to_headings(page):
    wrong = []
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\s*\n\s*", " ", text)):
        path, _hash, anchor = target.partition("#")
        if "://" in target:
            continue
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in headings(other.read_text(encoding="utf-8"))):
            wrong.append(target)
    assert wrong == []


@EVERY_PAGE
def test_tables_are_whole(page):
    """Each table has its line of dashes, and each row as many cells. A blank line once cut a row off."""
    wrong, lines = [], re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M).splitlines()
    cells = 0
    for before, line in zip(["", *lines], lines, strict=False):
        count = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if count and not before.startswith("|"):
            following = lines[lines.index(line) + 1 :][:1]
            wrong += [line] if not following or not re.fullmatch(r"\|[\s:|-]+\|", following[0]) else []
            cells = count
        wrong += [line] if count and count != cells else []
    assert wrong == []


# Hard to read in a second language, or idioms; what the project writes in their place is in its pages.
WORDS = r"\bis no\b(?! longer)|\bthere is no\b|\blacks?\b|\banew\b|\btold\b|of its own|no such file|no part of|likewise"
WORDS += r"|\bstands\b(?! for)|\bby themselves\b"


@EVERY_PAGE
def test_sentences_use_plain_words_and_short_lines(page):
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert re.findall(WORDS, text, flags=re.I) == []
    lines = [line for line in text.splitlines() if not line.startswith(("|", "    ")) and "https://" not in line]
    assert [line for line in lines if len(line) > 120] == []


@EVERY_PAGE
def test_files_of_the_repository_exist(page):
    named = re.findall(
        r"`((?:tests|benchmarks|molecule|docs|roles|playbooks|plugins)/[\w./-]+)`", page.read_text("utf-8")
    )
    assert [path for path in named if not (ROOT / path.rstrip("/")).exists()] == []


def said() -> str:
    """Return all text that the collection can print, on one line."""
    golden = yaml.safe_load((ROOT / "tests/unit/plugins/plugin_utils/golden/findings.yml").read_text(encoding="utf-8"))
    texts = [text for known in golden.values() for text in known]
    for path in (ROOT / "plugins").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return re.sub(r"\s+", " ", " ".join(texts))


# Messages with a value where a page writes an example of it.
WITH_A_VALUE = {"does not have the program psql", "mariadb or mysql", "kubeadm upgrade apply:"}
# The first cells of tables that list something other than messages.
NO_MESSAGES = {"docs/playbooks.md", "docs/migration.md", "docs/plan.md", "docs/networks.md", "README.md"}


@EVERY_PAGE
def test_messages_on_the_page_are_those_of_the_code(page):
    if name_of(page) in NO_MESSAGES or "## What can go wrong" not in page.read_text(encoding="utf-8"):
        return
    text, wrong = said(), []
    whole = page.read_text(encoding="utf-8")
    for section in [*whole.split("\n## What can go wrong")[1:], *whole.split("**When it fails**")[1:]]:
        for cell in re.findall(r"^\| (`[^|]*) \|", section.partition("\n## ")[0], flags=re.M):
            for message in (code for code in re.findall(r"`([^`]+)`", cell) if " " in code):
                parts = [part.strip() for part in re.split(r"…|\.\.\.|\b\d+\b|\bw1\b|\bcp-1\b", message)]
                wrong += [part for part in parts if part and part not in text and part not in WITH_A_VALUE]
    assert wrong == []


def test_charts_that_replace_a_component_of_k3s_are_listed():
    text = (ROOT / "docs" / "k3s.md").read_text(encoding="utf-8").partition("## Packaged components")[2]
    names = {name for row in packaged_components.REPLACED.values() for name in row.charts}
    names |= {*packaged_components.NETWORKS, *packaged_components.PARTS, *packaged_components.LIGHT}
    assert [name for name in sorted(names) if not re.search(r"[` ]%s[`,]" % re.escape(name), text)] == []


@EVERY_PAGE
def test_scenarios_exist(page):
    text = page.read_text(encoding="utf-8")
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    named = re.findall(r"molecule:([a-z0-9-]+)|(?:scenarios? |-s )`?([a-z0-9]+-[a-z0-9-]+)", text)
    assert [name for pair in named for name in pair if name and name not in scenarios] == []
