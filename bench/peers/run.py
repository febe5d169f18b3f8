"""Candid and its peers on the same machine, the same weights and the same torch, in one run.

    python -m bench.peers.run --seconds 8 --rounds 3 --limit 40

All servers are started first; while one is measured the others are stopped (SIGSTOP). They are measured in
turn, round after round, so that what the machine does otherwise falls on all of them alike. Photographs
differ, and Candid's cache of pictures is switched off: a picture that comes again would cost it nothing. Its
cache of texts is part of what is compared: it holds the ten labels before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine, photographs
from bench.peers import services, work
from bench.peers.environments import Unavailable
from bench.peers.services import Service
from bench.peers.work import Figures, Pictures, Work

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
CANDID = "Candid"
SAME = 0.02  # of the spread of the probabilities, of which not all services give as many digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--seconds", type=float, default=8, help="of each burst")
    add("--rounds", type=int, default=3)
    add("--starts", type=int, default=3, help="cold starts of each, after one that fills the page cache")
    add("--limit", type=float, default=40, help="seconds for the 500 photographs in one go")
    add("--quiet", metavar="COMMAND", help="run with `begin` and `end` around each measurement")
    add("--json", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as texts:
        makers = (partial(services.candid, Path(texts)), services.pipeline, services.naive, services.infinity)
        made: list[Service] = []
        running: list[Service] = []
        missing: dict[str, str] = {}
        try:
            for make in makers:
                prepare(make, made, missing)
            with machine.quiet(asked.quiet):
                starts = cold_starts(made, asked.starts)
                for service in made:
                    start(service, running, missing)
                apart, given = differences(running), work.pictures()
            result = {
                "machine": machine.describe(),
                "versions": machine.versions(),
                "command": f"python -m bench.peers.run --seconds {asked.seconds:g} --rounds {asked.rounds} "
                f"--starts {asked.starts} --limit {asked.limit:g}",
                "differences": apart,
            }
            tasks = work.tasks(asked.seconds, asked.limit)
            measured = measure(running, tasks, given, asked.rounds, asked.quiet)
            result |= summary(running, tasks, measured, missing)
            for service in running:
                result["services"][service.name] |= starts[service.name]
        finally:
            for service in running:
                service.stop()
    asked.json.parent.mkdir(exist_ok=True)
    asked.json.write_text(json.dumps(result, indent=1) + "\n")


def prepare(make: Callable[[], Service], made: list[Service], missing: dict[str, str]) -> None:
    """Install a service; a peer that cannot be is named with the reason, Candid has to."""
    name = getattr(make, "__name__", CANDID)
    try:
        made.append(make())
    except Unavailable as reason:
        if name == CANDID:
            raise
        missing[name] = str(reason)
        print(f"{name}: {reason}", flush=True)


def start(service: Service, running: list[Service], missing: dict[str, str]) -> None:
    """Start a service, likewise."""
    try:
        service.start()
    except Unavailable as reason:
        if service.name == CANDID:
            raise
        missing[service.name] = str(reason)
        print(f"{service.name}: {reason}", flush=True)
        return
    running.append(service)
    print(f"{service.name} is up", flush=True)


def cold_starts(made: list[Service], rounds: int) -> dict[str, dict[str, float]]:
    """Medians: seconds from the command to the first ranking, and resident MiB after it; each alone, in turn.

    The first round, which also makes Candid's export, is not counted.
    """
    picture = photographs.small(1)[0]
    found: dict[str, list[tuple[float, float]]] = {service.name: [] for service in made}
    for round_ in range(rounds + 1):
        for service in machine.rotated(made, round_):
            began = time.perf_counter()
            try:
                service.start()
                service.probabilities(picture, work.LABELS)
                took = time.perf_counter() - began
                if round_:
                    found[service.name].append((took, service.memory_mib("VmRSS")))
                print(f"cold start {round_}: {service.name} {took:.1f} s", flush=True)
            except Unavailable as reason:
                print(f"{service.name}: {reason}", flush=True)
            finally:
                service.stop()
    return {
        name: {
            "first_answer_s": round(statistics.median(took for took, _ in costs), 2),
            "resident_mib": round(statistics.median(memory for _, memory in costs)),
        }
        for name, costs in found.items()
        if costs
    }


def differences(running: list[Service]) -> dict[str, float]:
    """Largest difference of a probability from Candid's for one photograph, as a share of what lies between
    its most and its least likely label. Raises RuntimeError where it is not the same work."""
    picture = photographs.small(1)[0]
    answers = {service.name: service.probabilities(picture, work.LABELS) for service in running}
    own = answers.pop(CANDID)
    spread = max(own.values()) - min(own.values())
    found = {
        name: float(f"{max(abs(answer[label] - own[label]) for label in work.LABELS) / spread:.1g}")
        for name, answer in answers.items()
    }
    if any(difference > SAME for difference in found.values()):
        raise RuntimeError(f"these are not the same answers: {found}")
    return found


def measure(
    running: list[Service], tasks: list[Work], given: Pictures, rounds: int, command: str | None
) -> dict[str, dict[str, list[Figures]]]:
    """Each task's figures by service, one for every round."""
    found: dict[str, dict[str, list[Figures]]] = {
        task.key: {service.name: [] for service in running} for task in tasks
    }
    for service in running:
        service.pause()
    for round_ in range(rounds):
        order = machine.rotated(running, round_)
        for task in tasks:
            if task.once and round_:
                continue
            with machine.quiet(command):
                for service in order:
                    service.resume()
                    found[task.key][service.name].append(task.measure(service, given))
                    service.pause()
                    figures = shown(found[task.key][service.name][-1])
                    print(round_ + 1, task.title, service.name, figures, flush=True)
    return found


def shown(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def summary(
    running: list[Service],
    tasks: list[Work],
    measured: dict[str, dict[str, list[Figures]]],
    missing: dict[str, str],
) -> dict[str, Any]:
    """Each one's best round, the peaks of memory, and how much faster Candid is than the best peer."""
    best = {
        task.key: {name: best_round(rounds) for name, rounds in measured[task.key].items()} for task in tasks
    }
    ratios = {}
    for task in tasks:
        rates = {name: figures["per_s"] for name, figures in best[task.key].items()}
        own = rates.pop(CANDID)
        if rates:
            rival = max(rates, key=lambda name: rates[name])
            ratios[task.key] = {"best_peer": rival, "ratio": round(own / rates[rival], 2), "goal": task.goal}
    return {
        "tasks": {task.key: task.title for task in tasks},
        "services": {
            service.name: {
                "versions": service.versions,
                "peak_memory_mib": round(service.memory_mib("VmHWM")),
                **{task.key: best[task.key][service.name] for task in tasks},
            }
            for service in running
        },
        "ratios": ratios,
        "rounds": measured,
        "not_measured": missing,
    }


def best_round(rounds: list[Figures]) -> Figures:
    """The round of the highest rate, for all alike: what disturbs a machine only ever takes time."""
    best = max(rounds, key=lambda one: one["per_s"])
    found = {key: round(value, 3) for key, value in best.items()}
    return found | {"errors": sum(one["errors"] for one in rounds)}


if __name__ == "__main__":
    main()
