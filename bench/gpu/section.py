"""What bench/results.md says of the GPU."""

from __future__ import annotations

from typing import Any

from bench.quoted import table

Found = dict[str, Any]
TITLES = {"speed_vit_b_32": "ViT-B/32", "speed_vit_l_14": "ViT-L/14"}


def text(found: Found) -> str:
    """All parts that found something; those that failed are named."""
    parts = found["parts"]
    made = [
        *(speed(title, parts[name]) for name, title in TITLES.items() if parts.get(name, {}).get("eager")),
        *(served(name, part) for name, part in parts.items() if part.get("service")),
        parity(parts.get("parity", {})),
        compiled(parts.get("compiled", {})),
        memory(parts.get("memory", {})),
        tests(parts.get("tests", {})),
        *(f"`{name}` failed: {part['error']}.\n" for name, part in parts.items() if "error" in part),
    ]
    of = parts["prepare"]
    head = f"## GPU\n\n{of.get('device', 'no device')}, half precision unless another is named.\n"
    return "\n".join([head, *(each for each in made if each)])


def speed(title: str, part: Found) -> str:
    """Of the runner, from bytes to vectors; `of the ceiling` is of what bare matrix products did."""
    ceiling = max(part["products_tflops"].values())
    rows = [
        [
            f"{title}, {name}, batch {row['batch']}",
            f"{row['per_s']:,.0f}",
            f"{row['ms']:.2f}",
            f"{row['tower_per_s']:,.0f}",
            f"{row['per_s'] * part['gflop_a_picture'] / 1e3 / ceiling:.2f}",
        ]
        for name in ("graphs", "eager")
        for row in part.get(name, ())
    ]
    held = ", ".join(
        f"{name.removesuffix('_mib').replace('_', ' ')} {n:,.0f} MiB" for name, n in part["memory"].items()
    )
    head = ["", "images/s", "one batch, ms", "tower alone, images/s", "of the ceiling"]
    return f"{table(head, rows)}\nCeiling: {ceiling:.3g} TFLOP/s of matrix products. Memory: {held}.\n"


def served(name: str, part: Found) -> str:
    bare = part["bare_per_s"]
    rows = [
        [
            f"{row['clients']} clients",
            f"{row['per_s']:,.0f}",
            f"{row['per_s'] / bare:.2f}",
            f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f}",
            f"{row['mean_batch']:.1f}",
            f"{row['cores_busy']:.1f}",
            f"{row['errors']}",
        ]
        for row in part["service"]
    ]
    head = [name, "images/s", "of the encoder", "p50 / p99, ms", "mean batch", "cores busy", "errors"]
    return (
        f"{table(head, rows)}\nThe encoder alone does {bare:,.0f} images/s in batches of {part['batch']}, "
        f"decoding alone {part['decoding_per_s']:,.0f}, both in one process "
        f"{part['with_decoding_per_s']:,.0f}.\n"
    )


def parity(part: Found) -> str:
    rows = [
        [
            f"{name}, {precision}",
            f"{of['pictures']}",
            f"{figures['lowest_cosine']:.5f}",
            f"{figures['median_cosine']:.5f}",
            f"{figures['other_first_label']}",
        ]
        for name, of in part.items()
        if isinstance(of, dict)
        for precision, figures in of.items()
        if isinstance(figures, dict)
    ]
    head = ["beside float32 on the CPU", "pictures", "lowest cosine", "median", "another first label"]
    return table(head, rows) if rows else ""


def compiled(part: Found) -> str:
    rows = [
        [
            name,
            f"{of['batch']}",
            *(f"{of[key]:,.0f}" for key in ("eager_per_s", "compiled_per_s", "compile_s")),
        ]
        for name, of in part.items()
        if isinstance(of, dict)
    ]
    return (
        table(["torch.compile", "batch", "as it is, images/s", "compiled", "compiling, s"], rows)
        if rows
        else ""
    )


def memory(part: Found) -> str:
    told = [
        f"{name.replace('_', ' ')}, {of['answered']} of {of['pictures']} pictures answered, "
        f"{of['answered_after']} after it"
        for name, of in part.items()
        if isinstance(of, dict)
    ]
    return f"Out of memory: {'; '.join(told)}.\n" if told else ""


def tests(part: Found) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in part.get("counts", {}).items())
    return f"Tests on the GPU: {counts}.\n" if counts else ""
