"""Untrusted bytes to an upright RGB picture, or `ImageRejected` with its reason.

Every limit is checked before a pixel is decoded; only the first frame is; nothing warns, whatever the file
holds.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import AvifImagePlugin, Image, ImageFile, WebPImagePlugin  # noqa: F401  (importing a plugin registers its format)

from models.errors import ImageRejected
from models.images import formats, jpeg
from models.images.formats import Container

logger = logging.getLogger(__name__)

MIB = 1 << 20
_BAND_PIXELS = 1 << 20  # composited at a time, so that no second picture of full size is needed

_READERS: Mapping[str, Callable[[bytes], Container]] = MappingProxyType(
    {
        "JPEG": jpeg.read,
        "PNG": formats.read_png,
        "GIF": formats.read_gif,
        "WEBP": formats.read_webp,
        "BMP": formats.read_bmp,
        "AVIF": formats.read_avif,
    }
)

# What makes a picture upright, by EXIF's orientation.
_UPRIGHT = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
_SWAPS_SIDES = 5  # orientations from here on


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What one picture may cost: at the defaults 0.8 GB and 1.5 s of a decoding thread.

    Peak memory while decoding, in bytes a pixel (measured): JPEG 4 to 16 (a draft 0.2, and 6 more when it
    is progressive), PNG 5 to 9, GIF and BMP 5 to 6, WebP 16 to 20, AVIF 9 to 14.
    """

    max_bytes: int = 32 * MIB
    max_pixels: int = 50_000_000
    # Pillow keeps about 10 bytes a row besides its pixels, and takes its time for each: a PNG of
    # 1 × 50,000,000 pixels took 1.2 GB and 4 s. JPEG and GIF can be no longer than this.
    max_side: int = 65_535
    # Pixels times what the decoder does for each, in scans of a progressive JPEG: about 1 ns each, measured.
    # Pillow and libjpeg have no such limit: a JPEG of 32 kB can ask for 4 s of work.
    max_scan_pixels: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded picture."""

    rgb: Image.Image  # upright, mode RGB
    reduced: bool  # decoded at a smaller scale
    width: int  # px, of the upright picture as sent
    height: int
    format: str


def decode(data: bytes, limits: ImageLimits, *, at_least: int | None = None) -> DecodedImage:
    """Decode the first frame of `data`, composited on white and upright.

    `at_least` lets libjpeg decode at 1/2, 1/4 or 1/8 as long as no side gets shorter than that many pixels;
    None gives every pixel. Raises ImageRejected, and nothing else, for whatever the bytes are.
    """
    if not data:
        raise ImageRejected("empty", "the picture is empty (0 bytes)")
    if len(data) > limits.max_bytes:
        raise ImageRejected(
            "too_many_bytes",
            f"{len(data):,} bytes; at most {limits.max_bytes:,} are accepted (CANDID_MAX_IMAGE_BYTES)",
        )
    name = formats.sniff(data)
    try:
        return _decode(_READERS[name](data), limits, at_least)
    except ImageRejected:
        raise
    except MemoryError:
        rejected = ImageRejected("too_costly", f"there is not enough memory to decode this {name} file")
    except Exception as error:  # decoders raise all kinds for damaged files, SyntaxError and struct.error too
        logger.debug(
            "%s file refused as damaged", name, exc_info=error
        )  # to tell a defect of ours from the file's
        rejected = ImageRejected("damaged", f"the {name} file cannot be decoded: it is damaged or incomplete")
    # Raised out here so that no traceback keeps the half-decoded picture alive.
    raise rejected


def _decode(container: Container, limits: ImageLimits, at_least: int | None) -> DecodedImage:
    _check_size(container.width, container.height, container.passes, limits)
    # Pillow's own limit would warn, or refuse what the operator allows; ours has just been checked.
    Image.MAX_IMAGE_PIXELS = None
    image: ImageFile.ImageFile = Image.open(io.BytesIO(container.data), formats=(container.format,))
    width, height = image.size
    _check_size(width, height, container.passes, limits)  # AVIF's size is known only now
    if at_least is not None:
        image.draft(None, (at_least, at_least))  # does nothing unless JPEG
    reduced = image.size != (width, height)
    image.decodermaxblock = max(MIB, len(container.data))  # fed at once: Pillow appends block to block
    image.load()
    orientation = container.orientation
    if orientation == 1:
        orientation = formats.orientation_of(image.info.get("exif") or b"")  # WebP's and AVIF's
    rgb = _on_white(image)
    del image  # with its decoder: WebP's holds 12 bytes a pixel
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    if orientation >= _SWAPS_SIDES:
        width, height = height, width
    return DecodedImage(rgb, reduced, width, height, container.format)


def _check_size(width: int, height: int, passes: float, limits: ImageLimits) -> None:
    pixels, most = width * height, limits.max_pixels
    if max(width, height) > limits.max_side:
        raise ImageRejected(
            "too_many_pixels", f"{width} × {height} pixels; at most {limits.max_side:,} a side are accepted"
        )
    if pixels > most:
        raise ImageRejected(
            "too_many_pixels",
            f"{width} × {height} = {pixels:,} pixels; at most {most:,} are accepted (CANDID_MAX_PIXELS)",
        )
    most = limits.max_scan_pixels
    if pixels * passes > most:
        raise ImageRejected(
            "too_costly",
            f"{pixels:,} pixels that take {passes:,.0f} decoding passes; at most {most // passes:,.0f} such "
            "pixels are accepted: send a smaller or simpler picture",
        )


def _on_white(image: Image.Image) -> Image.Image:
    """Any mode to RGB. What is transparent shows white, as on paper."""
    if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would clip at 255
        return image.point(lambda value: value * (1 / 257) + 0.5).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    width, height = image.size
    rgb = Image.new("RGB", image.size, "white")
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(height, top + rows))).convert("RGBA")
        rgb.paste(band, (0, top), band)
    return rgb
