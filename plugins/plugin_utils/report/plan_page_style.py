# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of a plan looks. Contrast of text is at least 4.5 to 1 in light and dark (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --box: #f6f8fa;
  --good: #1a7f37; --short: #b42318; --warn: #7a4d00; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --text: #e6edf3; --soft: #9da7b3; --line: #30363d;
  --box: #161b22; --good: #3fb950; --short: #ff7b72; --warn: #e3b341; --link: #79c0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
section, figure { margin: 1.5rem 0; } ul { margin: 0; padding-left: 1.2rem; } li { margin: .25rem 0; }
a { color: var(--link); } code { font-size: .9em; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.facts div { background: var(--box); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-weight: 600; }
.refused, .warned { border-left: .3rem solid var(--short); padding: .25rem 0 .25rem .9rem; }
.warned { border-color: var(--warn); } .refused h2 { color: var(--short); } .warned h2 { color: var(--warn); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: middle;
  overflow-wrap: normal; }
tbody th { white-space: nowrap; } thead th { color: var(--soft); font-weight: 600; }
.bar { display: inline-block; position: relative; width: 6rem; height: .7rem; background: var(--line); border-radius: .2rem;
  margin-right: .5rem; vertical-align: middle; }
.bar i { display: block; height: 100%; background: var(--good); border-radius: .2rem; max-width: 100%; }
.bar.short i { background: var(--short); }
.bar b { position: absolute; top: -.2rem; height: 1.1rem; border-left: 2px solid var(--text); }
.value { white-space: nowrap; } .aside { color: var(--short); }
figure { text-align: center; } figure svg { max-width: 100%; height: auto; } figcaption { color: var(--soft); font-size: .9rem; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; } svg .soft { fill: var(--soft); font-size: 11px; }
svg rect { fill: var(--box); stroke: var(--line); } svg .plane { stroke: var(--good); stroke-width: 2; }
svg path { fill: none; stroke: var(--soft); }
@media print { :root { --ground: #fff; --text: #000; --soft: #444; --line: #bbb; --box: #fff; --link: #000; }
  .wide { overflow: visible; } tr, li, figure { break-inside: avoid; } .bar { print-color-adjust: exact; }
  details:not([open]) > ul { display: block; } }
"""
