"""Several fronts' metrics as one service's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample


class _Summed(Collector):
    def __init__(self, texts: Iterable[bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text in self._texts:
            for family in text_string_to_metric_families(text.decode()):
                families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                found = sums.setdefault(family.name, {})
                for sample in family.samples:
                    key = (sample.name, tuple(sample.labels.items()))
                    both = found.get(key, 0.0), sample.value
                    # When each process started is no amount.
                    found[key] = max(both) if sample.name == "process_start_time_seconds" else sum(both)
        for name, family in families.items():
            family.samples = [Sample(own, dict(labels), value) for (own, labels), value in sums[name].items()]
            yield family


def summed(texts: Iterable[bytes]) -> bytes:
    """Metrics in Prometheus' text format, each sample the sum over `texts`."""
    registry = CollectorRegistry()
    registry.register(_Summed(texts))
    return generate_latest(registry)
