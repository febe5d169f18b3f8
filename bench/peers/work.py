"""What every service is given to do: one client, many, a thousand labels, large pictures, many pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import photographs
from bench.load import Timing, Turn, burst
from bench.peers.services import Service
from models.scoring.out_of_set import nouns

LABELS = (
    *("a cat", "a coffee cup", "an astronaut", "a rocket", "a motorcycle", "a street at night"),
    *("a plate of food", "a dog in the snow", "a handwritten page", "a map"),
)
MANY_LABELS = 1000
MANY_CLIENTS = 32
MANY_PICTURES = 500
AGAIN_S = 10.0  # seconds for which the thousand labels are asked again, at most AGAIN times
AGAIN = 9

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Made once, asked of all: JPEG files."""

    small: list[bytes]
    large: list[bytes]


@dataclass(frozen=True, slots=True)
class Work:
    """One of the issue's tasks and what it is to be better by."""

    key: str
    title: str
    goal: float  # times the best peer
    measure: Callable[[Service, Pictures], Figures]
    once: bool = False  # not in every round: what is cached is new only the first time


def pictures() -> Pictures:
    return Pictures(photographs.small(MANY_PICTURES), photographs.large(8))


def tasks(seconds: float, limit_s: float) -> list[Work]:
    """`seconds` for each of the bursts; no request of the many pictures is begun after `limit_s`."""

    def one(service: Service, given: Pictures) -> Figures:
        return figures(burst(service.port, endless(service, given.small), clients=1, seconds=seconds))

    def many_clients(service: Service, given: Pictures) -> Figures:
        turns = endless(service, given.small)
        return figures(burst(service.port, turns, clients=MANY_CLIENTS, seconds=2 * seconds))

    def large(service: Service, given: Pictures) -> Figures:
        return figures(burst(service.port, endless(service, given.large), clients=1, seconds=seconds))

    def many_pictures(service: Service, given: Pictures) -> Figures:
        return in_one_go(service, given.small, limit_s)

    return [
        Work("one", "one client, 10 labels", 2.5, one),
        Work("clients", f"{MANY_CLIENTS} clients, 10 labels", 2.5, many_clients),
        Work("labels", f"{MANY_LABELS:,} labels, the second time", 50, thousand_labels, once=True),
        Work("large", "12-megapixel photographs", 3, large),
        Work("pictures", f"{MANY_PICTURES} photographs in one go", 2.5, many_pictures),
    ]


def endless(service: Service, files: list[bytes]) -> Iterator[Turn]:
    """One photograph after the other, each with the same ten labels. Made before the clock starts."""
    return itertools.cycle([service.turn([data], LABELS) for data in files])


def figures(timing: Timing) -> Figures:
    return {
        "per_s": timing.rate,
        "p50_ms": timing.median * 1e3,
        "p99_ms": timing.percentile(0.99) * 1e3,
        "answers": len(timing.latencies),
        "errors": timing.errors,
    }


def thousand_labels(service: Service, given: Pictures) -> Figures:
    """A picture with 1,000 labels that are new, and other pictures with the same ones."""
    labels = nouns()[:MANY_LABELS]
    turns = iter([service.turn([data], labels) for data in given.small[: AGAIN + 1]])
    first = burst(service.port, itertools.islice(turns, 1), clients=1)
    again = burst(service.port, turns, clients=1, seconds=AGAIN_S)
    return {
        "first_ms": first.median * 1e3,
        "again_ms": again.median * 1e3,
        "per_s": 1 / again.median,
        "answers": len(first.latencies) + len(again.latencies),
        "errors": first.errors + again.errors,
    }


def in_one_go(service: Service, files: list[bytes], limit_s: float) -> Figures:
    """All photographs as fast as the service takes them, as many a request as it takes."""
    each = service.pictures_a_request
    turns = [service.turn(files[at : at + each], LABELS) for at in range(0, len(files), each)]
    timing = burst(service.port, iter(turns), clients=service.clients, seconds=limit_s)
    return {
        "per_s": each * timing.rate,
        "pictures": each * len(timing.latencies),
        "seconds": timing.seconds,
        "errors": timing.errors,
    }
