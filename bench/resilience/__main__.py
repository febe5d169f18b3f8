"""Every promise that is measured in some minutes, one line of JSON each.

python -m bench.resilience
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.resilience import (
    half_sent,
    kill,
    overload,
    pictures,
    shutdown,
    structure,
    trailers,
    unread_answers,
)

PROMISES: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "overload": overload.measure,
    "unread_answers": unread_answers.measure,
    "trailers": trailers.measure,
    "structure": structure.measure,
    "pictures": pictures.measure,
    "half_sent": half_sent.measure,
    "shutdown": shutdown.measure,
    "kill": kill.measure_both,
}

if __name__ == "__main__":
    for name, measure in PROMISES.items():
        print(json.dumps({name: measure()}), flush=True)
