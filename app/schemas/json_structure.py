"""How much JSON would become before it is built: 60 MB of `[],` are twenty million lists and 1.6 GB.

Counted by C's own searches, some milliseconds for 60 MB. Only JSON that seems too much is looked at again
without its texts, for labels may hold commas: piece by piece, so that no other thread is kept waiting.
"""

from __future__ import annotations

from typing import Final

MAX_LISTS: Final = 100_000
"""Lists and objects of one body: 10,000 labels with their aliases, descriptions and prompts are 40,000."""
MAX_VALUES: Final = 2_000_000
"""Values of one body: as numbers they take 64 MB. More vectors than that are sent as base64."""
PIECE_BYTES: Final = 1 << 20


def too_much(data: bytes) -> str | None:
    """Why JSON is not built, or None: it has too many lists and objects, or values, or texts."""
    if data.count(b'"') > 4 * MAX_VALUES:  # of each text two; an escaped one counts, too
        return f"more than {MAX_VALUES} texts"
    why = _why(data)
    return why and _why_without_texts(data)


def _why(data: bytes) -> str | None:
    lists = data.count(b"[") + data.count(b"{")
    if lists > MAX_LISTS:
        return f"more than {MAX_LISTS} lists and objects"
    if data.count(b",") + data.count(b":") > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    return None


def _why_without_texts(data: bytes) -> str | None:
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # what is left of quotes begins or ends a text
    outside = []
    in_text = 0
    for start in range(0, len(plain), PIECE_BYTES):
        parts = plain[start : start + PIECE_BYTES].split(b'"')
        outside.append(b"".join(parts[in_text::2]))
        in_text = (in_text + len(parts) - 1) % 2
    return _why(b"".join(outside))
