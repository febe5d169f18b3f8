"""A JPEG file's markers, walked as libjpeg walks them: size, number of scans, orientation, and a bare copy.

The walk jumps over segments by their length and over entropy-coded data by its byte stuffing, so a thumbnail
inside the metadata is never counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from models.errors import ImageRejected
from models.images.formats import MAX_CHUNKS, Container, orientation_of, too_many_chunks

# A marker as libjpeg's `next_marker` finds it: FF and a code that is neither stuffing (00), fill (FF), nor a
# restart (D0 to D7) or TEM (01), which stand alone and may stand inside a scan.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")

_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))  # baseline, extended, progressive; all Huffman-coded
# Lossless, hierarchical and arithmetic-coded: no browser shows them, and the last costs far more a byte.
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8} | {0xDE}
# What decides pixels: DHT, DQT, DRI, the frame, JFIF and Adobe (the colour space). Nothing else reaches
# Pillow: it reads EXIF, ICC, Photoshop and multi-picture segments on opening, and warns about broken ones.
_KEPT = _FRAMES | {0xC4, 0xDB, 0xDD, 0xE0, 0xEE}


def read(data: bytes) -> Container:
    """Walk `data` to its end of image. A scan counts as the share of the frame's samples that it visits."""
    kept: list[bytes | memoryview] = [b"\xff\xd8"]
    shares: dict[int, float] = {}  # component id -> its samples per pixel, after subsampling
    width = height = first_scan = 0
    orientation, scans, end = 1, 0.0, len(data)
    for code, start, stop in _segments(data):
        if code == _EOI:
            end = stop  # a second picture or a film may follow
        elif code == _SOS:
            first_scan = first_scan or start
            scans += _scan_cost(data[start + 4 : stop], shares)
        elif code in _OTHER_FRAMES:
            message = "arithmetic-coded, lossless and hierarchical JPEG are not accepted"
            raise ImageRejected("format_not_allowed", message)
        elif first_scan:
            continue  # stays in place, between the scans
        elif code in _KEPT:
            kept.append(data[start:stop])
            if code in _FRAMES:
                height, width, shares = _frame(data[start + 4 : stop])
        elif code == _APP1 and orientation == 1 and data.startswith(b"Exif\0\0", start + 4):
            orientation = orientation_of(data[start + 4 : stop])
    if not (first_scan and shares):
        raise ImageRejected("damaged", "the JPEG file has no picture data: it is damaged or incomplete")
    kept.append(memoryview(data)[first_scan:end])
    return Container("JPEG", width, height, b"".join(kept), orientation, scans)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker's code, its start, and the end of its segment, up to the end of image."""
    position = 2
    for _ in range(MAX_CHUNKS):
        marker = _MARKER.search(data, position)
        if marker is None:
            return
        code, position = marker[1][0], marker.end()
        if code == _EOI:
            yield code, marker.start(), position
            return
        if position + 2 > len(data):
            return
        if code == _SOI:
            continue
        position += max(2, int.from_bytes(data[position : position + 2]))
        yield code, marker.start(), position
    raise too_many_chunks("segments")


def _frame(segment: bytes) -> tuple[int, int, dict[int, float]]:
    """Height, width and each component's share of samples, from a start-of-frame segment's payload."""
    height, width, components = struct.unpack_from(">xHHB", segment)
    sampling: dict[int, tuple[int, int]] = {}
    for identity, factors in struct.iter_unpack(">BBx", segment[6 : 6 + 3 * components]):
        sampling[identity] = (max(1, factors >> 4), max(1, factors & 15))
    full = max(h for h, _ in sampling.values()) * max(v for _, v in sampling.values())
    return height, width, {identity: h * v / full for identity, (h, v) in sampling.items()}


def _scan_cost(segment: bytes, shares: dict[int, float]) -> float:
    """Samples per pixel that one scan visits, and never less than one: a scan has its own fixed costs."""
    components = segment[1 : 1 + 2 * segment[0] : 2] if segment else b""
    return max(1.0, sum(shares.get(identity, 1.0) for identity in components))
