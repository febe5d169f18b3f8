"""Every speed figure, one benchmark after the other, then the table and the plots: what `make bench` runs.

    python -m bench.all --only peers --only batching
    python -m bench.all --report

Each benchmark is a process of its own and writes bench/results/NAME.json. bench/results.md, .json, the plots
and the tables in README.md and docs/ are made of those.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from bench import machine, report

STEPS = {
    "peers": "bench.peers.run",
    "batching": "bench.batching",
    "encoders": "bench.encoders",
    "text": "bench.text",
    "pictures": "bench.pictures",
    "startup": "bench.startup",
    "many": "bench.many",
    "speeds": "bench.speeds",
    "gpu": "bench.gpu",  # where there is one
}


PAUSES = ("peers", "batching", "encoders", "text")  # take --quiet: longer, with work between


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add(
        "--only", action="append", choices=STEPS, metavar="NAME", help=f"one of {', '.join(STEPS)}; repeat it"
    )
    add("--quiet", metavar="COMMAND", help="run with `begin` and `end` around what is timed")
    add("--report", action="store_true", help="measure nothing: only write the table and the plots")
    asked = parser.parse_args()
    failed = []
    for name in () if asked.report else asked.only or STEPS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", STEPS[name]]
        if name in PAUSES:
            command += ["--quiet", asked.quiet] if asked.quiet else []
            failed += [name] * bool(subprocess.run(command).returncode)
        else:
            with machine.quiet(asked.quiet):
                failed += [name] * bool(subprocess.run(command).returncode)
    report.write()
    if failed:
        print(f"failed: {', '.join(failed)}; the report has earlier figures of it, or none", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
