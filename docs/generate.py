# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/reference and the roles' README files from argument specs, the plugins' documentation and the planner's
data.

Before that, complete the argument specs: a role accepts the inputs that other roles declare as well.

    python docs/generate.py            write the files
    python docs/generate.py --check    fail if a file is out of date
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
import typing
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent / "reference"
ROLES = HERE.parent.parent / "roles"
# The roles that declare the inputs of the cluster, and those that do not accept them.
DECLARING = ("kube", "kubeadm", "k3s")
WITHOUT_CLUSTER = ("local",)
# The rest of an argument spec after this line is written by this program.
SHARED = (
    "      # Written by docs/generate.py: inputs that other roles declare, accepted here as role parameters.\n"
    "      # The plan validates them.\n"
)
COLLECTION = "kubewright.cluster"
HEAD = """\
<!--
Copyright: (c) 2026, kubewright contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by docs/generate.py. Change the argument spec or the plugin's documentation instead.
-->
"""
KINDS = {"module": "modules", "filter": "filters", "role": "roles", "lookup": "lookups"}
BODY = r"((?:\\.|[^\\)])*)"


def words(text, here: str) -> str:
    """Convert Ansible's markup to Markdown on one line that fits in a table cell."""
    text = " ".join(text) if isinstance(text, list) else str(text or "")
    text = re.sub(rf"\b[BI]\({BODY}\)", r"*\1*", text)
    text = re.sub(rf"\bL\(([^,)]+), *{BODY}\)", r"[\1](\2)", text)
    text = re.sub(rf"\bU\({BODY}\)", r"<\1>", text)
    text = re.sub(rf"\b(?:M|P)\({BODY}\)", lambda match: link(match[1], here), text)
    text = re.sub(r"\bR\(([^,)]+), *[^)]*\)", r"`\1`", text)
    text = re.sub(r"\b(O|RV)\([\w.]+#(?:role:\w+|\w+):", r"\1(", text)
    text = re.sub(rf"\b(?:C|V|O|E|RV)\({BODY}\)", lambda match: f"`{match[1]}`", text)
    return re.sub(r"\\([\\)])", r"\1", text).replace("|", "\\|").replace("\n", " ")


def paragraph(text, here: str) -> str:
    """Convert Ansible's markup to a paragraph of Markdown with an empty line before it."""
    whole = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), words(text, here))
    filled = textwrap.fill(whole, 118, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
    # A dash at the start of a line would begin a list.
    return "\n" + filled.replace("\n- ", " -\n") + "\n"


def link(target: str, here: str) -> str:
    """Return a link to the page of one of the collection's plugins, or the name of another plugin."""
    name, _hash, kind = target.partition("#")
    if not name.startswith(COLLECTION + "."):
        return f"`{name}`"
    path = f"{KINDS[kind or 'module']}/{name.rpartition('.')[2]}.md"
    return f"[{name}]({'../' if '/' in here else ''}{path})"


def nature(option: dict) -> str:
    """Return type, requirement, default and choices of an option."""
    kind = option.get("type", "str")
    if option.get("elements"):
        kind += f" of {option['elements']}"
    parts = [kind]
    if option.get("required"):
        parts.append("**required**")
    elif option.get("default") is not None:
        parts.append(f"default `{json.dumps(option['default'], ensure_ascii=False)}`")
    if option.get("choices"):
        parts.append("one of " + ", ".join(f"`{choice}`" for choice in option["choices"]))
    return "<br>".join(parts).replace("|", "\\|")


def rows(options: dict, here: str, above: str = "", islist: bool = False):
    """Yield a row for each option, followed by its suboptions."""
    for name, option in options.items():
        path = f"{above}{'[]' if islist else ''}{'.' if above else ''}{name}"
        yield f"| `{path}` | {nature(option)} | {words(option.get('description'), here)} |"
        inside = option.get("options") or option.get("suboptions") or {}
        yield from rows(inside, here, path, option.get("type") == "list")


def table(options: dict, here: str, first: str = "option") -> str:
    """Return the table of all options."""
    return "\n".join([f"| {first} | type | what it is |", "|---|---|---|", *rows(options, here)]) + "\n"


def returned(values: dict, here: str) -> str:
    """Return the table of a plugin's return values."""
    lines = ["| value | type | returned | what it is |", "|---|---|---|---|"]
    for name, value in values.items():
        texts = [words(value.get(part), here) for part in ("returned", "description")]
        cells = (f"`{name}`", value.get("type", ""), *texts)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def role_page(name: str, spec: dict, here: str) -> str:
    """Return the page of a role: its purpose and its inputs."""
    text = f"# Role `{name}`\n"
    for entry, point in sorted(spec["entry_points"].items(), key=lambda pair: pair[0] != "main"):
        text += f"\n## {entry}\n" if entry != "main" else ""
        parts = [point["short_description"] + ".", *as_list(point.get("description"))]
        text += "".join(paragraph(part, here) for part in parts)
        options = own(point)
        text += "\n" + table(options, here, "input") if options else ""
        if len(options) < len(point.get("options") or {}):
            what = "Every other input" if options else "Every input"
            text += f"\n{what} of the cluster is accepted as a role parameter too: see [Inputs](../inputs.md).\n"
    return text


def own(point: dict) -> dict:
    """Return the options of a role's entry point without those that other roles declare."""
    return {name: option for name, option in (point.get("options") or {}).items() if option.get("type") != "raw"}


def argument_specs() -> dict:
    """Return the text of each argument spec by its path, with the inputs that other roles declare at the end."""
    written = {path: path.read_text().partition(SHARED)[0] for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))}
    declared = {
        name: role
        for role in DECLARING
        for name in yaml.safe_load(written[ROLES / role / "meta/argument_specs.yml"])["argument_specs"]["main"][
            "options"
        ]
    }
    texts = {}
    for path, text in written.items():
        role = path.parent.parent.name
        lines = [
            f"      {name}:\n        type: raw\n        description: See O({COLLECTION}.{owner}#role:main:{name}).\n"
            for name, owner in declared.items()
            if owner != role
        ]
        texts[path] = text if role in WITHOUT_CLUSTER else text + SHARED + "".join(lines)
    return texts


def plugin_page(kind: str, name: str, found: dict, here: str) -> str:
    """Return the page of a module or filter: options, examples, return values."""
    doc = found["doc"]
    notes = [f"Note: {part}" for part in as_list(doc.get("notes"))]
    parts = [doc["short_description"] + ".", *as_list(doc.get("description")), *notes]
    text = f"# {kind.capitalize()} `{name}`\n" + "".join(paragraph(part, here) for part in parts)
    options = doc.get("options") or {}
    text += "\n## Options\n\n" + table(options, here) if options else ""
    if found.get("examples"):
        text += f"\n## Examples\n\n```yaml\n{found['examples'].strip()}\n```\n"
    text += "\n## Returns\n\n" + returned(found["return"], here) if found.get("return") else ""
    return text


def as_list(value) -> list:
    """Return a description, which can be one paragraph or several, as a list."""
    return value if isinstance(value, list) else [value] if value else []


def inputs_page(roles: dict) -> str:
    """Return the page of all inputs, by role."""
    text = (
        "# Inputs\n\nSet these in the inventory, as play vars, as role parameters or with `-e`. Unknown "
        "names are rejected.\n"
    )
    text += (
        "*Changing it later* is about a running cluster. A change that is not possible is refused, and "
        "nothing is changed.\n"
    )
    changes = lifecycle()
    for name, spec in sorted(roles.items(), key=lambda pair: pair[0] != f"{COLLECTION}.kube"):
        options = own(spec["entry_points"].get("main", {}))
        if options:
            text += f"\n## {name.rpartition('.')[2]}\n\nDeclared by {link(name + '#role', 'inputs.md')}.\n\n"
            text += (
                cluster_table(options, changes)
                if set(options) <= set(changes)
                else table(options, "inputs.md", "input")
            )
    return text


def cluster_table(options: dict, changes: dict) -> str:
    """Return the table of inputs of the cluster, with what changing each of them means."""
    lines = ["| input | type | what it is | changing it later |", "|---|---|---|---|"]
    for name, option in options.items():
        first, *inside = rows({name: option}, "inputs.md")
        lines += [f"{first} {changes[name]} |", *(f"{row} |" for row in inside)]
    return "\n".join(lines) + "\n"


def lifecycle() -> dict:
    """Return in words what changing each input of the cluster means, and on which hosts it must be the same."""
    module = imported("inputs.lifecycle")
    changes = {
        "birth": "not possible",
        "join": "running nodes keep what they have",
        "rolling": "applied to running nodes, one after another",
        "api": "applied through the API",
        "controller": "affects files on the controller only",
        "run": "affects this run only",
    }

    def note(text: str) -> str:
        # What a value is compared with is of use to programmers only.
        return "; " + text if text and not text.startswith("compared") else ""

    scopes = {"cluster": "<br>same on all hosts", "servers": "<br>same on all control planes", "host": ""}
    return {
        name: changes[row.change.value] + note(row.note) + scopes[row.scope.value]
        for name, row in module.LIFECYCLE.items()
    }


def imported(name: str):
    """Return a module of plugins/plugin_utils."""
    for path in reversed(os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")):
        if path not in sys.path:
            sys.path.insert(0, path)
    return importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.plugin_utils.{name}")


def source_link(source: str) -> str:
    """Return a link to a page on the web or in docs."""
    return f"<{source}>" if "://" in source else f"[{source}](../{source.partition('/')[2]})"


def rules_page() -> str:
    """Return the page of the rules that pick a distribution, from the planner's data."""
    rules = imported("plan.distribution_rules")
    text = (
        "# Rules of the decision\n\nChecked in this order. A plan's `reasons` name the rule, the node, "
        "its value and the limit.\n\n"
    )
    lines = ["| rule | looks at | does | source |", "|---|---|---|---|"]
    lines += [f"| `{rule}` | {what} | {does} | {source_link(source)} |" for rule, what, does, source in rules.table()]
    return text + "\n".join(lines) + "\n"


def meaning(row) -> str:
    """Return what a name of another project is here, in few words."""
    fixed = {"understood": "understood", "not_taken": "not taken over"}
    if row.kind.value in fixed:
        return fixed[row.kind.value]
    question = "needs a decision" + (" unless it is as here" if row.kind.value == "decide" else ", if not as noted")
    asked = question if row.asks else ""
    return "<br>".join(filter(None, [f"`{row.to}`" if row.to else "", asked])) or "without effect"


def inventories_page() -> str:
    """Return the page of the names of other projects' inventories, from their tables."""
    text = (
        "# Names of other projects' inventories\n\nWhat a name means here. A name with `*` stands for all names that "
        "match. Values of names that have no input, and of names with `*`, are never evaluated, so lookups in them do "
        "not run. [Coming from other projects](../migration.md) has the rules.\n"
    )
    for dialect in reversed(imported("inputs.foreign.dialects").ALL):
        lines = ["| name | here | |", "|---|---|---|"]
        lines += [f"| `{name}` | {meaning(row)} | {words(row.note, 'x.md')} |" for name, row in dialect.rows.items()]
        text += f"\n## {dialect.name}\n\n<{dialect.page}>\n\n" + "\n".join(lines) + "\n"
    return text


def role_readme(name: str, spec: dict) -> str:
    """Return a role's README.md, which Galaxy shows."""
    role = name.rpartition(".")[2]
    point = spec["entry_points"]["main"]
    text = f"# {name}\n\n{words(point['short_description'], 'README.md')}.\n\n"
    return text + f"Its inputs are in [the reference](../../docs/reference/roles/{role}.md).\n"


def fields(name: str) -> str:
    """Return the table of a TypedDict's fields, from their annotations."""
    model = imported("base.model")
    lines = ["| key | what it is |", "|---|---|"]
    for key, hint in typing.get_type_hints(getattr(model, name), include_extras=True).items():
        lines.append(f"| `{key}` | {words(hint.__metadata__[0], 'plan.md')} |")
    return "\n".join(lines)


def with_fields(text: str) -> str:
    """Return docs/plan.md with its tables of fields up to date."""
    for name in ("Plan", "PlanNode"):
        begin, end = f"<!-- fields of {name} -->", "<!-- end -->"
        before, _begin, rest = text.partition(begin)
        text = f"{before}{begin}\n{fields(name)}\n{end}{rest.partition(end)[2]}"
    return text


def pages() -> dict:
    """Return all pages by their path relative to docs/reference."""
    dump = subprocess.check_output(["ansible-doc", "--metadata-dump", COLLECTION])
    found = {kind: plugins for kind, plugins in json.loads(dump)["all"].items() if kind in KINDS and plugins}
    made = {"inputs.md": HEAD + inputs_page(found["role"]), "rules.md": HEAD + rules_page()}
    made["inventories.md"] = HEAD + inventories_page()
    index = "# Reference\n\n[All inputs](inputs.md), role by role. [The rules of the decision](rules.md). "
    index += "[Names of other projects' inventories](inventories.md).\n"
    for kind, plugins in sorted(found.items(), key=lambda pair: pair[0] != "role"):
        index += f"\n## {KINDS[kind].capitalize()}\n\n"
        for name, plugin in sorted(plugins.items()):
            path = f"{KINDS[kind]}/{name.rpartition('.')[2]}.md"
            text = role_page(name, plugin, path) if kind == "role" else plugin_page(kind, name, plugin, path)
            brief = plugin["entry_points"]["main"] if kind == "role" else plugin["doc"]
            index += f"- [{name}]({path}): {words(brief['short_description'], 'README.md')}\n"
            made[path] = HEAD + text
            if kind == "role":
                made[f"../../roles/{name.rpartition('.')[2]}/README.md"] = HEAD + role_readme(name, plugin)
    plan = (HERE.parent / "plan.md").read_text()
    return {**made, "README.md": HEAD + index, "../plan.md": with_fields(plan)}


def main() -> int:
    """Write or check the pages and return the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference and the README files of the roles.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    check = parser.parse_args().check
    specs = [path for path, text in argument_specs().items() if path.read_text() != text]
    if check and specs:
        print(
            "\n".join(f"{path.relative_to(ROLES.parent)} is out of date; run python docs/generate.py" for path in specs)
        )
        return 1
    for path in specs:
        path.write_text(argument_specs()[path])
    made = pages()
    stale = [path for path, text in made.items() if not (HERE / path).exists() or (HERE / path).read_text() != text]
    gone = [str(path.relative_to(HERE)) for path in HERE.rglob("*.md") if str(path.relative_to(HERE)) not in made]
    if check:
        print(
            "\n".join(f"docs/reference/{path} is out of date; run python docs/generate.py" for path in stale + gone)
            or "docs/reference is up to date"
        )
        return 1 if stale or gone else 0
    for path in stale:
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(made[path])
    for path in gone:
        (HERE / path).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
