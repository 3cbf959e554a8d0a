# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection: what a machine is, from its files and a few commands.

Standard library only, Python 3.8 and later, read only. All access to the system goes through host.Host.
"""
