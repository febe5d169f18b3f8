"""Pictures that mean harm: bombs, wrong formats, and any number of mutated files, the same ones on each run.

    python -m tests.hostile --count 100000

decodes that many mutations and tells of every exception that is not `ImageRejected`, and of the slowest
picture that was accepted. The tests of both wings take `crafted()` and a few thousand mutations.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import skimage.data
from PIL import Image

from models.errors import ImageRejected, RejectReason
from models.images.decode import ImageLimits, decode

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Crafted:
    """One file and what must become of it: a reason, or None when it is a picture like any other."""

    data: bytes
    reason: RejectReason | None


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """`image` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photograph(width: int, height: int) -> Image.Image:
    """scikit-image's cat at any size."""
    return Image.fromarray(skimage.data.chelsea()).resize((width, height))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file of the given chunks between its header and its end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of one flat grey that asks for `scans` more scans of every pixel, 10 bytes each."""
    base = encoded(Image.new("L", (width, height), 99), "JPEG", progressive=True)
    return base[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" * scans + b"\xff\xd9"


def many_frames(frames: int) -> bytes:
    """An animated GIF of a photograph and `frames` more pictures of one pixel."""
    base = encoded(photograph(64, 48).quantize(16), "GIF")
    frame = b"!\xf9\x04\x08\x01\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return base[:-1] + frame * frames + b";"


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF segment's content that states an orientation."""
    magic = b"MM\0*" if order == ">" else b"II*\0"
    entry = struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + magic + entry


def oriented(orientation: int) -> bytes:
    """The same photograph stored in one of the eight ways that EXIF can turn upright again."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the Transpose that it undoes
    image = photograph(160, 120)
    if orientation in undo:
        image = image.transpose(Image.Transpose(undo[orientation]))
    return encoded(image, "JPEG", quality=95, subsampling=0, exif=exif(orientation))


@cache
def crafted() -> dict[str, Crafted]:
    """Files made by hand, each for one weakness, by what they are."""
    idat = (b"IDAT", zlib.compress(b"\0" * 4))
    bomb = zlib.compress(bytes(20_000_000))
    jpeg = encoded(photograph(64, 48), "JPEG")
    sof = jpeg.index(b"\xff\xc0") + 5
    avif = encoded(photograph(64, 48), "AVIF")
    ispe = avif.index(b"ispe") + 8
    bmp = encoded(photograph(64, 48), "BMP")
    huge = struct.pack("<II", 40_000, 40_000)
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xff\x3f\0\xff\x3f\0"
    rejected: dict[RejectReason, dict[str, bytes]] = {
        "empty": {"nothing": b""},
        "not_an_image": {
            "zeros": bytes(1000),
            "text": b"hello, world\n" * 50,
            "HTML": b"<!DOCTYPE html><html><body>cat</body></html>",
            "random bytes": random.Random(1).randbytes(5000),
        },
        "format_not_allowed": {
            "TIFF": encoded(photograph(64, 48), "TIFF"),
            "TIFF, big-endian": b"MM\0*" + bytes(100),
            "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
            "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
            "EPS with preview": b"\xc5\xd0\xd3\xc6" + bytes(100),
            "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
            "WMF": b"\xd7\xcd\xc6\x9a" + bytes(100),
            "ICO": encoded(photograph(32, 32), "ICO"),
            "PSD": b"8BPS" + bytes(100),
            "JPEG 2000": encoded(photograph(64, 48), "JPEG2000"),
            "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
            "film": b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + bytes(100),
            "BMP, run lengths": bmp[:30] + b"\1" + bmp[31:],
            "JPEG, arithmetic-coded": jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1),
            "JPEG, lossless": jpeg.replace(b"\xff\xc0", b"\xff\xc3", 1),
        },
        "too_many_pixels": {
            "PNG bomb": png(60_000, 60_000, idat),
            "PNG, largest": png(2**31 - 1, 2**31 - 1, idat),
            "JPEG bomb": jpeg[:sof] + b"\xff\xff\xff\xff" + jpeg[sof + 4 :],
            "GIF, huge screen": b"GIF89a\xff\xff\xff\xff\0\0\0" + many_frames(1)[13:],
            "GIF, huge frame": many_frames(1).replace(
                b",\0\0\0\0\x40\0\x30\0", b",\0\0\0\0\xff\xff\xff\xff", 1
            ),
            "BMP of negative width": bmp[:18] + struct.pack("<i", -64) + bmp[22:],
            "BMP bomb": bmp[:18] + huge + bmp[26:],
            "WebP, huge canvas": b"RIFF\x64\0\0\0WEBP" + canvas + bytes(70),
            "PNG of one column": png(1, 49_999_999, idat),
            "PNG of one row": png(49_999_999, 1, idat, depth=1, colour=0),
            "BMP of one column": bmp[:18] + struct.pack("<ii", 1, 49_999_999) + bmp[26:],
            "BMP of one row, from the top": bmp[:18] + struct.pack("<ii", 70_000, -1) + bmp[26:],
            "AVIF bomb": avif[:ispe] + struct.pack(">II", 16_000, 16_000) + avif[ispe + 8 :],
        },
        "too_costly": {
            "JPEG of 1,000 scans": many_scans(2000, 2000, 1000),
            "WebP of 49 megapixels, 1 GB to decode": b"RIFF\x64\0\0\0WEBP"
            + canvas.replace(b"\xff\x3f\0", b"\x57\x1b\0")
            + bytes(70),
            "PNG of 400 MB": png(7000, 7000, idat, depth=16, colour=6),
            "JPEG of 100,000 segments": jpeg[:2] + b"\xff\xfe\0\2" * 100_000 + jpeg[2:],
            "PNG of 100,000 chunks": png(4, 4, *((b"IDAT", b""),) * 100_000),
            "GIF of 1,000,000 blocks": b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1x" * 1_000_000,
        },
        "damaged": {
            # Half of a film still holds its first frame.
            **{
                f"{name}, cut in half": data[: len(data) // 2]
                for name, data in seeds().items()
                if "animated" not in name
            },
            **{f"{name}, its first 20 bytes": data[:20] for name, data in seeds().items()},
            "PNG without data": png(4, 4),
            "JPEG without size": jpeg[:sof] + bytes(4) + jpeg[sof + 4 :],
        },
    }
    rows = struct.pack("BBBB", 0, 1, 2, 3) * 4
    kept = {
        "PNG with 300 colour profile bombs": png(
            1, 4, *((b"iCCP", b"x\0\0" + bomb),) * 300, (b"IDAT", zlib.compress(rows))
        ),
        "PNG with 300 text bombs": png(
            1, 4, *((b"zTXt", b"x\0\0" + bomb),) * 300, (b"IDAT", zlib.compress(rows))
        ),
        "GIF of 10,000 frames": many_frames(10_000),
        "JPEG, broken EXIF": encoded(photograph(64, 48), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "JPEG, empty EXIF": encoded(photograph(64, 48), "JPEG", exif=b"Exif\0\0"),
        "JPEG, a film behind it": jpeg + b"\0\0\0\x18ftypisom" + bytes(1000),
        "JPEG, thumbnails of 3,000 scans": jpeg[:2]
        + (b"\xff\xe5\xea\x62" + b"\xff\xda\0\x08\1" * 12_000) * 1
        + jpeg[2:],
        "AVIF, broken EXIF": seeds()["AVIF"].replace(b"MM\0*", b"no!*"),
        "BMP, any name": bmp,
    }
    return {
        **{name: Crafted(data, reason) for reason, files in rejected.items() for name, data in files.items()},
        **{name: Crafted(data, None) for name, data in kept.items()},
    }


@cache
def seeds() -> dict[str, bytes]:
    """Small sound files of each format and kind, by name: what the mutations start from."""
    rgb = photograph(64, 48)
    grey, palette = rgb.convert("L"), rgb.quantize(32)
    clear = rgb.convert("RGBA")
    clear.putalpha(grey)
    film = [rgb.rotate(10 * turn) for turn in range(3)]
    return {
        "JPEG": encoded(rgb, "JPEG", exif=exif(6)),
        "JPEG, progressive": encoded(rgb, "JPEG", progressive=True),
        "JPEG, grey": encoded(grey, "JPEG"),
        "JPEG, CMYK": encoded(rgb.convert("CMYK"), "JPEG"),
        "PNG": encoded(rgb, "PNG", exif=exif(3)),
        "PNG, palette": encoded(palette, "PNG", transparency=bytes(range(0, 256, 8))),
        "PNG, transparent": encoded(clear, "PNG"),
        "PNG, 16 bits": encoded(grey.convert("I;16"), "PNG"),
        "PNG, 1 bit": encoded(rgb.convert("1"), "PNG"),
        "PNG, animated": encoded(film[0], "PNG", save_all=True, append_images=film[1:]),
        "WebP": encoded(rgb, "WEBP", exif=exif(8)),
        "WebP, lossless": encoded(clear, "WEBP", lossless=True),
        "WebP, animated": encoded(film[0], "WEBP", save_all=True, append_images=film[1:], duration=50),
        "GIF": encoded(palette, "GIF", transparency=3),
        "GIF, animated": encoded(film[0], "GIF", save_all=True, append_images=film[1:]),
        "BMP": encoded(rgb, "BMP"),
        "BMP, palette": encoded(palette, "BMP"),
        "AVIF": encoded(rgb, "AVIF", exif=exif(5)),
        "AVIF, transparent": encoded(clear, "AVIF"),
    }


def mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` mutated files, each with the name of its origin. Equal arguments give equal files."""
    chance = random.Random(seed)
    for _ in range(count):
        yield mutated(chance)


def mutated(chance: random.Random) -> tuple[str, bytes]:
    """One of them."""
    files = list(seeds().values())
    which = chance.randrange(len(files))
    data = bytearray(files[which])
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        mutate(data, files, chance)
    made = _with_right_checksums(bytes(data)) if chance.random() < 0.5 else bytes(data)
    return list(seeds())[which], made


def mutate(data: bytearray, files: list[bytes], chance: random.Random) -> None:
    """One change in place, more often near the front, where headers are."""
    at = int(len(data) * chance.random() ** chance.choice((1, 3)))
    end = at + chance.choice((1, 2, 4, 16, 200))
    match chance.randrange(9):
        case 0:
            data[at : at + 1] = bytes(byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1])
        case 1:
            data[at : at + 1] = chance.randbytes(1)
        case 2:  # lengths, sizes and offsets at their extremes
            value = chance.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
            field = chance.choice((">I", "<I")) if value > 0xFFFF else chance.choice((">H", "<H", ">I", "<I"))
            data[at : at + struct.calcsize(field)] = struct.pack(field, value)
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = chance.randbytes(end - at)
        case 5:  # the same again
            data[at:at] = data[at:end] * chance.choice((1, 1, 3, 50))
        case 6:
            data[at:end] = bytes(len(data[at:end]))
        case 7:
            del data[max(at, 12) :]
        case _:  # the rest of another file
            other = chance.choice(files)
            data[at:] = other[int(len(other) * chance.random()) :]


def _with_right_checksums(data: bytes) -> bytes:
    """A PNG whose checksums are right again, so that its damage gets past them; others unchanged."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    mended, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if end + 4 > len(data):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(mended)


def main() -> int:
    """Decode many mutations; exit 1 if any of them raised what it must not."""
    parser = argparse.ArgumentParser(description="Decode mutated pictures and report what goes wrong.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    slowest = {"accepted": (0.0, ""), "refused": (0.0, "")}
    for number, (name, data) in enumerate(mutations(arguments.count, arguments.seed), 1):
        started = time.process_time()  # the machine may be busy with other things
        try:
            decode(data, ImageLimits(), at_least=448 if number % 2 else None)
            outcome, kind = "accepted", "accepted"
        except ImageRejected as error:
            outcome, kind = error.reason, "refused"
        except BaseException as error:
            outcome, kind = f"BUG {type(error).__name__}", "refused"
            sys.stdout.write(f"number {number} ({name}): {error!r}\n")
        outcomes[outcome] += 1
        slowest[kind] = max(slowest[kind], (time.process_time() - started, f"number {number} ({name})"))
        if number % 10_000 == 0 or number == arguments.count:
            sys.stdout.write(f"{number:,} of {arguments.count:,}: {dict(outcomes)}; slowest {slowest}\n")
            sys.stdout.flush()
    return int(any(outcome.startswith("BUG") for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
