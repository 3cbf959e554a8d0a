# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stages and report the results. Stages that would interfere with each other run one after another."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import threading
import time

from . import catalog
from .stage import CACHE, LOGS, Stage, Ticker

# Lock files that stay open until the run ends.
HELD: list = []


def finish(stage: Stage) -> None:
    """Print the result of a stage; for a failure also its causes and the end of its log."""
    print(f"{stage.state:7} {stage.name} ({stage.seconds:.0f} s)", flush=True)
    if stage.state == "failed":
        print(f"{stage.why()}\n    complete log: {stage.log}", flush=True)


def lane(stages: list[Stage], everyone: list[Stage], before: list[threading.Thread]) -> None:
    """Run the stages of one lane in order. Skip a stage if one that it needs did not pass."""
    for thread in before:
        thread.join()
    states = {stage.name: stage for stage in everyone}
    if stages and stages[0].lane == "lab":
        HELD.append(lock())
    for stage in stages:
        if any(states[name].state != "passed" for name in stage.needs if name in states):
            stage.state = "not run"
            print(f"not run {stage.name}: {', '.join(stage.needs)} did not pass", flush=True)
            continue
        stage.run()
        finish(stage)


def lock():
    """Wait for the machine's lock: two checkouts cannot create the same scenario's nodes at the same time."""
    handle = (CACHE / "clusters.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("  ... waiting for another run of the tests on this machine", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def run(stages: list[Stage]) -> None:
    """Run the lanes code and lab in parallel, then clusters: two cores are not enough for more."""
    threads: dict[str, threading.Thread] = {}
    for name in ("lab", "code", "clusters"):
        mine = [stage for stage in stages if stage.lane == name]
        before = list(threads.values()) if name == "clusters" else []
        threads[name] = threading.Thread(target=lane, args=(mine, stages, before), daemon=True)
        threads[name].start()
    for thread in threads.values():
        thread.join()


def report(stages: list[Stage], left_out: list[Stage], seconds: float) -> int:
    """Print a table of the stages and a summary; return the exit code."""
    width = max(len(stage.name) for stage in stages)
    print(f"\n{'stage':{width}}  seconds  result   tests  failed  skipped")
    for stage in stages:
        numbers = [number or "" for number in (stage.passed + stage.failed, stage.failed, stage.skipped)]
        row = f"{stage.name:{width}}  {stage.seconds:7.0f}  {stage.state:7}"
        print(f"{row}  {numbers[0]:5}  {numbers[1]:6}  {numbers[2]:7}".rstrip())
    print(f"{'wall time':{width}}  {seconds:7.0f}\n")
    broken = [stage for stage in stages if stage.state != "passed"]
    passed, failed, skipped = (
        sum(getattr(stage, word) for stage in stages) for word in ("passed", "failed", "skipped")
    )
    if left_out:
        print("Stages not selected: " + " ".join(stage.name for stage in left_out))
    if broken:
        print("Stages that did not pass: " + " ".join(stage.name for stage in broken))
    tests = f"{passed} passed, {failed} failed, {skipped} skipped"
    print(f"{len(stages) - len(broken)} of {len(stages)} stages passed; tests: {tests}")
    return 1 if broken else 0


def main() -> int:
    """Run the command line and return the exit code."""
    everything = catalog.everything()
    words = [stage.name if stage.by_default else f"({stage.name})" for stage in everything]
    parser = argparse.ArgumentParser(
        prog="test.sh",
        description="Run tests: the default stages (those that CI runs), all stages, or the given ones.",
        epilog="Stages (those in brackets run only when named, or with `all`): " + " ".join(words),
    )
    parser.add_argument("stage", nargs="*", help="all, the name of a stage, or its first part (lint, molecule)")
    stages = catalog.chosen(everything, parser.parse_args().stage)
    LOGS.mkdir(parents=True, exist_ok=True)
    catalog.make_copy()
    catalog.bootstrap_pip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    Ticker(stages).start()
    try:
        run(stages)
    finally:
        for stage in stages:
            stage.stop()
    left_out = [stage for stage in everything if stage not in stages]
    return report(stages, left_out, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
