# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all unit tests."""

from __future__ import annotations

from hypothesis import settings

# Hypothesis' limit of 0.2 s for an example measures how busy the machine is.
settings.register_profile("kubewright", deadline=None)
settings.load_profile("kubewright")
