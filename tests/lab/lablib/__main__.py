# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(f"lab: {sys.executable} is Python {sys.version.split()[0]}, the lab needs 3.11 or newer")

from lablib import cli

if __name__ == "__main__":
    sys.exit(cli.main())
