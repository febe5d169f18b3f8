"""What an untrusted file says it is, read without decoding: format, size, orientation, and a bare copy.

Pillow is shown only what decides pixels. Metadata is read here (the orientation) or dropped, because the
decoders' metadata readers are where most of their surprises live: decompression bombs in colour profiles and
texts, loops over two-byte blocks, warnings about broken EXIF.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from models.errors import ImageRejected

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
ACCEPTED = "send JPEG, PNG, WebP, GIF, BMP or AVIF"

# Chunks of one file, each of which costs some microseconds of Python. A 50 MB PNG has about 6,000, a
# progressive JPEG about 50.
MAX_CHUNKS = 20_000

_HEAD_BYTES = 1024  # within which an SVG file names itself
_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("GIF", rb"GIF8[79]a"),
        ("WEBP", rb"RIFF....WEBP"),
        ("AVIF", rb"....ftyp(avi[fs]|(mif1|msf1)....(?:....){0,8}?avi[fs])"),
        ("BMP", rb"BM"),
        # Known only to be named when they are refused.
        ("HEIC", rb"....ftyp(hei[cmsx]|hev[cx]|mif1|msf1)"),
        ("TIFF", rb"II[*+]\0|MM\0[*+]"),
        ("PDF", rb"%PDF"),
        ("EPS", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("SVG", rb"\s*<(?=.{0,1000}<?svg)"),
        ("WMF", rb"\xd7\xcd\xc6\x9a"),
        ("EMF", rb"\x01\0\0\0.{36} EMF"),
        ("ICO", rb"\0\0[\1\2]\0[^\0]"),
        ("PSD", rb"8BPS"),
        ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
        ("video", rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI "),
    )
)

# Unpacking and unfiltering one byte of a PNG (measured: 5 to 8 ns with the costliest filter), as passes.
_PNG_PASSES_A_BYTE = 5
_WEBP_PASSES = (
    25  # 15 to 35 ns a pixel (measured, lossless and noise with alpha the slowest), and up to 20 bytes
)
_AVIF_PASSES = 25  # 25 to 65 ns a pixel on one core (measured, flat and photographs), on two threads or more
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples a pixel

_PNG_KEPT = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
# An AVIF file turns its picture by its own properties; its EXIF must not turn it again (MIAF, 7.3.6.7).
_AVIF_EXIF_ITEM = re.compile(rb"(infe\x02.{7})Exif", re.DOTALL)
_ORIENTATION_TAG = 0x0112
_EXIF_ENTRY_BYTES = 12
_SHORT, _LONG = 3, 4  # EXIF's types of numbers


@dataclass(frozen=True, slots=True)
class Container:
    """A picture's file, not yet decoded."""

    format: str
    width: int  # px, as stored: not yet upright. 0: known only once the file is opened (AVIF)
    height: int
    data: bytes  # what the decoder is shown
    orientation: int = 1  # EXIF's, 1 to 8
    passes: float = 1.0  # what decoding a pixel costs, in scans of a progressive JPEG: about 1 ns each


def sniff(data: bytes) -> str:
    """The format by its first bytes, one of FORMATS; raises ImageRejected for any other."""
    head = data[:_HEAD_BYTES]
    name = next((name for name, signature in _SIGNATURES if signature.match(head)), None)
    if name is None:
        raise ImageRejected("not_an_image", f"the bytes are not a picture that is known here: {ACCEPTED}")
    if name not in FORMATS:
        raise ImageRejected("format_not_allowed", f"{name} files are not accepted: {ACCEPTED}")
    return name


def read_png(data: bytes) -> Container:
    """Keep the chunks that make the still picture; a film's first frame is that picture."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    passes = _PNG_PASSES_A_BYTE * _PNG_SAMPLES[colour] * depth / 8
    kept, orientation, position = [data[:8]], 1, 8
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind in _PNG_KEPT:
            kept.append(data[position:end])
        elif kind == b"eXIf" and orientation == 1:
            orientation = orientation_of(data[position + 8 : end - 4])
        if kind == b"IEND":
            break
        position = end
    else:
        raise too_many_chunks("chunks")
    return Container("PNG", width, height, b"".join(kept), orientation, passes)


def read_gif(data: bytes) -> Container:
    """Keep the screen, the first frame and its transparency; extensions before it are skipped."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _palette_bytes(flags)
    screen, control = data[:position], b""
    for _ in range(MAX_CHUNKS):
        introducer = data[position]
        if introducer == ord(","):
            break
        if introducer != ord("!"):
            position += 1  # Pillow and browsers look past stray bytes
            continue
        if data.startswith(b"\xf9\x04", position + 1):
            # Whether and which colour is transparent; delay and disposal belong to later frames.
            control = b"!\xf9\x04" + bytes((data[position + 3] & 1, 0, 0, data[position + 6], 0))
        position = _end_of_blocks(data, position + 2)
    else:
        raise too_many_chunks("extensions")
    left, top, across, down = struct.unpack_from("<HHHH", data, position + 1)
    width, height = max(width, left + across), max(height, top + down)  # a frame may widen the screen
    return Container("GIF", width, height, screen + control + data[position:])


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_blocks(data: bytes, position: int) -> int:
    for _ in range(MAX_CHUNKS):
        size = data[position]
        position += 1 + size
        if size == 0:
            return position
    raise too_many_chunks("blocks")


def read_webp(data: bytes) -> Container:
    """Only the canvas's size, which libwebp reserves on opening: its own demuxer is strict."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return Container("WEBP", width, height, data, passes=_WEBP_PASSES)


def read_bmp(data: bytes) -> Container:
    """Size and compression. Run lengths are refused: Pillow unpacks them in Python, pixel by pixel."""
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # OS/2's
        width, height = struct.unpack_from("<HH", data, 18)
        return Container("BMP", width, height, data)
    width, height, compression = struct.unpack_from("<Ii4xI", data, 18)
    if compression in (1, 2):
        raise ImageRejected("format_not_allowed", f"run-length coded BMP is not accepted: {ACCEPTED}")
    return Container("BMP", width, abs(height), data)  # negative: stored from the top down


def read_avif(data: bytes) -> Container:
    """Hide the EXIF item, which Pillow would read on opening, warn about and fail on when it is broken."""
    return Container("AVIF", 0, 0, _AVIF_EXIF_ITEM.sub(rb"\1skip", data), passes=_AVIF_PASSES)


def orientation_of(exif: bytes) -> int:
    """The orientation that EXIF states, 1 to 8; 1 when it states none or cannot be read."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(entries):
            at = directory + 2 + entry * _EXIF_ENTRY_BYTES
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
                (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), exif, at + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def too_many_chunks(what: str) -> ImageRejected:
    """The answer to a file that is cut into very many pieces."""
    return ImageRejected("too_costly", f"the file has more than {MAX_CHUNKS:,} {what}")
