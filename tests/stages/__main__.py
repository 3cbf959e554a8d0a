# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs stages, those that disturb each other one after another, and says what passed."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import threading
import time

from . import catalog
from .stage import CACHE, LOGS, Stage, Ticker

# Open as long as the run lasts.
HELD: list = []


def finish(stage: Stage) -> None:
    """Tells how a stage ended; a failure with its causes and the end of its log."""
    print(f"{stage.state:7} {stage.name} ({stage.seconds:.0f} s)", flush=True)
    if stage.state == "failed":
        print(f"{stage.why()}\n    all of it: {stage.log}", flush=True)


def lane(stages: list[Stage], everyone: list[Stage], before: list[threading.Thread]) -> None:
    """Stages of one lane, in order. One whose need did not pass has failed too, without being run."""
    for thread in before:
        thread.join()
    states = {stage.name: stage for stage in everyone}
    if stages and stages[0].lane == "lab":
        HELD.append(alone())
    for stage in stages:
        if any(states[name].state != "passed" for name in stage.needs if name in states):
            stage.state, stage.failed = "not run", 1
            print(f"not run {stage.name}: {', '.join(stage.needs)} did not pass", flush=True)
            continue
        stage.run()
        finish(stage)


def alone():
    """Scenarios have one name on a machine: a second run, of another checkout perhaps, waits for the first."""
    handle = (CACHE / "clusters.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("  ... another run of the tests has the nodes; waiting for it", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def run(stages: list[Stage]) -> None:
    """Code and lab beside each other, clusters when both are done: two cores are not many."""
    threads: dict[str, threading.Thread] = {}
    for name in ("lab", "code", "clusters"):
        mine = [stage for stage in stages if stage.lane == name]
        before = list(threads.values()) if name == "clusters" else []
        threads[name] = threading.Thread(target=lane, args=(mine, stages, before), daemon=True)
        threads[name].start()
    for thread in threads.values():
        thread.join()


def report(stages: list[Stage], seconds: float) -> int:
    """The table, and the line that counts."""
    width = max(len(stage.name) for stage in stages)
    print(f"\n{'stage':{width}}  seconds  passed  failed")
    for stage in stages:
        note = "" if stage.state in ("passed", "failed") else stage.state
        print(f"{stage.name:{width}}  {stage.seconds:7.0f}  {stage.passed:6}  {stage.failed:6}  {note}".rstrip())
    print(f"{'wall time':{width}}  {seconds:7.0f}\n")
    failed = sum(stage.failed for stage in stages)
    print(f"{sum(stage.passed for stage in stages)} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    """The command line."""
    stages = catalog.everything()
    parser = argparse.ArgumentParser(
        prog="test.sh", description="All tests, or the stages that are named.", epilog="stages: " + " ".join(s.name for s in stages)
    )
    parser.add_argument("stage", nargs="*", help="a stage, or the first part of its name: lint, molecule")
    stages = catalog.chosen(stages, parser.parse_args().stage)
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
    return report(stages, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
