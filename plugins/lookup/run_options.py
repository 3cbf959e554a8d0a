# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of the options of a playbook, validated."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_options
short_description: Validated options of a playbook
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Returns the options of one playbook, such as C(verify_timeout) and C(verify_fail), however they were set.
  - Types, defaults and ranges are those of the role's argument specification. All that is wrong is reported at once.
options:
  _terms:
    description:
      - The playbook. C(replace) has the options of C(remove) too, and C(restore) those of C(backup).
    type: str
    choices: [backup, local, plan, remove, replace, reset, restore, rotate, upgrade, verify]
    required: true
"""

EXAMPLES = r"""
- name: Show how long the verification waits
  ansible.builtin.debug:
    msg: "{{ lookup('kubewright.cluster.run_options', 'verify').timeout }}"
"""

RETURN = r"""
_raw:
  description: The options by name, without the playbook's prefix.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleError  # noqa: E402
from ansible.plugins.lookup import LookupBase  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import run_options  # noqa: E402


class LookupModule(LookupBase):
    """Evaluates the variables of this task that are options of the playbook, and no others."""

    def run(self, terms, variables=None, **kwargs):
        return [self._read(term, variables or {}) for term in terms]

    def _read(self, term, variables):
        values, problems = run_options.read(term, variables, self._templar.template)
        if problems:
            raise AnsibleError(" ".join("%s." % problem.text.rstrip(".") for problem in problems))
        return values
