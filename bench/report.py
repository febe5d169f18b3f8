"""bench/results.md, .json, the plots and the pages' tables, from what benchmarks left in bench/results/."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import plots, quoted
from bench.gpu import section as gpu
from bench.quoted import table

FOLDER = Path(__file__).parent
HEAD = """\
# Benchmarks

Written by `make bench` (`python -m bench.all`). Each section says the command that measures it anew; all of
its figures are in [results.json](results.json).
"""

Found = dict[str, Any]


def write() -> None:
    """The tables, everything in one JSON file, and the plots."""
    found = read()
    (FOLDER / "results.md").write_text(text_of(found), "utf-8")
    (FOLDER / "results.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    plots.draw(found, FOLDER / "results")
    quoted.write(found)


def read() -> dict[str, Found]:
    """Each benchmark's own file, where it has been run."""
    files = {name: FOLDER / "results" / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(file.read_text("utf-8")) for name, file in files.items() if file.is_file()}


def text_of(found: dict[str, Found]) -> str:
    """What was not measured is named."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        if name in found:
            parts.append(f"{section(found[name]).rstrip()}\n\n{measured_on(found[name])}".rstrip() + "\n")
        else:
            title = name.upper() if name == "gpu" else name.capitalize()
            parts.append(f"## {title}\n\nNot measured: `make bench BENCH='--only {name}'`.\n")
    return "\n".join(parts)


def measured_on(found: Found) -> str:
    """The command, the machine and the versions, below each table."""
    if "machine" not in found:
        return ""
    machine = found["machine"]
    used = [f"{name} {version}" for name, version in found["versions"].items() if version != "not installed"]
    return (
        f"`{found['command']}` on {quoted.cores(found)}, "
        f"{machine['memory_gib']} GiB, {machine['system']}; Python {machine['python']}, {', '.join(used)}.\n"
    )


def peers(found: Found) -> str:
    tasks, services, ratios = found["tasks"], found["services"], found["ratios"]
    per_second = [
        [name, *(f"{given[key]['per_s']:.3g}" for key in tasks)] for name, given in services.items()
    ]
    best = ["**Candid, times the best peer**", *(f"**{ratios[key]['ratio']:.3g}**" for key in tasks)]
    wanted = ["wanted", *(f"{ratios[key]['goal']:g}" for key in tasks)]
    waits = [key for key in tasks if any("p50_ms" in given[key] for given in services.values())]
    latencies = [
        [
            name,
            *(f"{given[key]['p50_ms']:.0f} / {given[key]['p99_ms']:.0f}" for key in waits),
            *(f"{given['labels'][each]:.0f}" for each in ("first_ms", "again_ms")),
            f"{given['peak_memory_mib']:,}",
            str(sum(int(given[key].get("errors", 0)) for key in tasks)),
        ]
        for name, given in services.items()
    ]
    versions = [f"- {name}: {', '.join(g['versions'])}" for name, g in services.items() if g["versions"]]
    missing = [f"- {name} took no part: {why}" for name, why in found["not_measured"].items()]
    cut = [
        f"{name} {given['pictures']['pictures']:.0f}"
        for name, given in services.items()
        if given["pictures"]["pictures"] < 500 and not given["pictures"]["errors"]
    ]
    limit = f" Within the time limit, of the 500: {', '.join(cut)}." if cut else ""
    apart = ", ".join(f"{name} {value:g}" for name, value in found["differences"].items())
    return f"""## Peers

One ViT-B/32 with random weights, the very same in each program's format, in float32 on the CPU. The peers
run on the same torch, Candid as it is installed: on OpenVINO. One is measured while the others are stopped,
in turn. Photographs (451 × 300, or 4000 × 3000) are scikit-image's, cropped and lit so that they differ.
Candid's cache of pictures is off; its cache of texts is on, so that labels cost it nothing after their first
time. The others encode them for every answer. infinity_emb is asked twice for one ranking: for the labels'
vectors and for the picture's.

Answers a second, each one's best round (photographs a second in the last column; the thousand labels are
asked in one round only):

{table(["", *tasks.values()], [*per_second, best, wanted])}
Milliseconds, p50 / p99 of the bursts; 1,000 labels the first and the second time; peak of resident MiB:

{
        table(
            ["", *(tasks[key] for key in waits), "labels, first", "labels, again", "memory", "errors"],
            latencies,
        )
    }
Cold start, median: from the command to the first ranking with the ten labels, and what is resident then. Each
is alone, files are in the page cache, Candid's OpenVINO export is kept from an earlier start:

{table(["", *quoted.COLD], [[name, *quoted.cold(given)] for name, given in services.items()])}
Largest difference of a probability from Candid's, as a share of what lies between the most and the least
likely label: {apart}.{limit}

{chr(10).join([*versions, *missing])}

![Answers a second](results/peers.png)
"""


def batching(found: Found) -> str:
    sizes = [key.split("_")[1] for key in found if key.startswith("bare_") and key.endswith("_per_s")]
    rates = table(
        ["batch", *sizes], [["images/s, bare", *(f"{found[f'bare_{size}_per_s']:.1f}" for size in sizes)]]
    )
    share = found["encoder_gflops"] / found["products_gflops"]
    return f"""## Batching

ViT-B/32; the bare encoder is the same one in its own process, tensors in and vectors out.

{rates}
| | measured | wanted |
| --- | --: | --: |
| {found["clients"]} clients with a picture each, images/s | {found["many_per_s"]:.1f} | |
| of the bare encoder at its best batch ({found["best_batch"]:.0f}) | {found["many_to_bare"]:.2f} | ≥ 0.9 |
| mean batch | {found["mean_batch"]:.1f} | |
| p50 / p99, ms | {found["many_p50_ms"]:.0f} / {found["many_p99_ms"]:.0f} | |
| p50 in times of the bare encoder's best batch | {found["p50_in_best_batch_times"]:.2f} | ≤ 2 |
| p50 in times of a batch of the mean size | {found["p50_in_batch_times"]:.2f} | |
| one client alone, p50, ms | {found["alone_p50_ms"]:.1f} | |
| decoding and the bare encoder, each by itself, ms | {found["decode_ms"] + found["bare_1_ms"]:.1f} | |
| errors | {found["errors"]:.0f} | 0 |

A picture waits for the batch that is under way and then for its own. Those two hold all clients' pictures, so
p50 is twice a batch of the mean size and, on top, what decoding and HTTP take from the same two cores.

At its best batch the bare encoder does {found["encoder_gflops"]:.0f} GFLOP/s: {share:.0%} of what float32
matrix products alone, by torch, did in the same rounds.

![Images a second, the bare encoder and the service](results/batching.png)
"""


def encoders(found: Found) -> str:
    from bench.encoders import table as rows

    left = [f"- {engine} is left out: {why}" for engine, why in found["left_out"].items()]
    return f"""## Encoders on a CPU

A second, and times as fast as torch (eager); the lowest cosine to torch's answers.

{rows(found["rows"])}
{chr(10).join(left)}
![Times as fast as torch](results/encoders.png)
"""


def text(found: Found) -> str:
    encode, served, many = found["encode"], found["served"], found["served"]["80_templates"]
    rows = [
        [way, f"{encode['texts_per_s'][way]:.1f}", f"{times:.2f}", f"{encode['largest_difference'][way]:.0e}"]
        for way, times in encode["times_as_fast"].items()
    ]
    ranked = ", ".join(f"{each['ms']:.1f} ms with {name}'s" for name, each in found["rank"].items())
    alone, beside = many["small_request_alone_ms"], many["small_request_beside_ms"]
    return f"""## Text

Labels of one to five words through ViT-B/32's text tower; Candid's runner is {encode["served_by"]}.

{table(["", "texts/s", "times open_clip", "largest difference"], rows)}
Ranking one picture against 100,000 labels that are kept: {ranked} dimensions.

1,000 labels and a picture, embedded model, over HTTP: {served["first_s"]:.2f} s the first time,
{served["again_s"]:.3f} s again, {served["after_a_restart_s"]:.3f} s in a new process that finds them on disk.
A small request takes {alone["p50"]:.0f} ms (p99 {alone["p99"]:.0f}) alone, and {beside["p50"]:.0f} ms
(p99 {beside["p99"]:.0f}) beside one of 1,000 labels in 80 templates.
"""


def pictures(found: Found) -> str:
    rows = [
        [
            f"{name}, {given['mean_bytes'] / 1e6:.1f} MB",
            *(f"{each:.1f}" for each in given["ms"].values()),
            f"{given['times_as_fast']:.1f}",
            f"{given['cosine_to_exact']['min']:.4f}" if "cosine_to_exact" in given else "",
        ]
        for name, qualities in found["models"].items()
        for given in qualities.values()
    ]
    return f"""## 12-megapixel photographs

Milliseconds from a JPEG file to the numbers that the tower takes: open_clip's transform, Candid decoding
every pixel (`CANDID_EXACT_DECODE=true`), and Candid as it is; and the lowest cosine between its two vectors.
Undoing the Huffman code costs the same at every scale: the larger the file, the less a smaller scale saves.

{table(["", "open_clip", "every pixel", "Candid", "times as fast", "cosine"], rows)}"""


def startup(found: Found) -> str:
    ready, imported, ratio = found["ready_s"], found["import_open_clip_s"], found["ratio"]
    resident, one = found["serve"]["rss_mb"], found["classify"]["wall_s"]
    return f"""## Start-up

`candid serve` with the embedded model is ready after {ready:.2f} s, with {resident:.0f} MB after three
pictures; `candid classify` of one photograph takes {one:.2f} s. `python -c "import open_clip"` takes
{imported:.2f} s: {ratio:.2f} times that until it is ready (wanted: at most 0.35).
"""


def many(found: Found) -> str:
    return f"""## A folder of photographs

`candid classify` on the files of a folder, beside a script that only decodes and encodes.

{quoted.folder(found)}"""


def speeds(found: Found) -> str:
    rows = [[name, f"{seconds:g}"] for name, seconds in found["seconds"].items()]
    return f"""## One picture, one core

Seconds of the processor for one picture in the image tower (float32, torch, random weights).

{table(["", "seconds"], rows)}"""


SECTIONS: dict[str, Callable[[Found], str]] = {
    "peers": peers,
    "batching": batching,
    "encoders": encoders,
    "text": text,
    "pictures": pictures,
    "startup": startup,
    "many": many,
    "speeds": speeds,
    "gpu": gpu.text,
}
