"""What decoding a pixel takes of memory, for each format and mode, as docs/operations.md reckons it."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests import hostile
from tests.hostile import encoded, png

BYTES_A_PIXEL = {"JPEG": 16, "PNG": 9, "GIF": 6, "BMP": 6, "WEBP": 20, "AVIF": 14}  # docs/operations.md
SLACK_BYTES = 12_000_000  # tables, and bands of a megapixel that are put on white one by one

MEASURE = """
import sys
from pathlib import Path
from models.images.decode import ImageLimits, decode

def high():
    status = Path("/proc/self/status").read_text()
    return [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")][0]

decode(Path(sys.argv[1]).read_bytes(), ImageLimits())  # what is loaded once
for name in sys.argv[2:]:
    data = Path(name).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = high()
    picture = decode(data, ImageLimits())
    print(picture.width * picture.height, high() - before, flush=True)
    del picture
"""


def files() -> dict[str, tuple[str, bytes]]:
    """Format and bytes of pictures of 8 megapixels that show little, turned by EXIF where a format can be."""
    grey = Image.linear_gradient("L").resize((2800, 2800))
    rgb, turn = grey.convert("RGB"), {"exif": hostile.exif(6)}
    clear = rgb.convert("RGBA")
    clear.putalpha(grey)
    row = zlib.compress(bytes(65_535 * 129), 1)
    return {
        "JPEG": ("JPEG", encoded(rgb, "JPEG", **turn)),
        "JPEG, progressive CMYK": ("JPEG", encoded(rgb.convert("CMYK"), "JPEG", progressive=True)),
        "PNG": ("PNG", encoded(rgb, "PNG", compress_level=1, **turn)),
        "PNG, transparent": ("PNG", encoded(clear, "PNG", compress_level=1, **turn)),
        "PNG, 16 bits": ("PNG", encoded(grey.convert("I;16"), "PNG", compress_level=1, **turn)),
        "PNG, as tall as may be": ("PNG", png(128, 65_535, (b"IDAT", row), colour=0)),
        "GIF, transparent": ("GIF", encoded(grey, "GIF", transparency=3)),
        "BMP": ("BMP", encoded(rgb, "BMP")),
        "WebP": ("WEBP", encoded(rgb, "WEBP", method=0, **turn)),
        "WebP, lossless, transparent": ("WEBP", encoded(clear, "WEBP", lossless=True, method=0, **turn)),
        "AVIF, transparent": ("AVIF", encoded(clear, "AVIF", speed=10)),
    }


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is Linux' to tell")
def test_no_format_takes_more_memory_a_pixel_than_is_said(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(encoded(Image.new("RGB", (8, 8)), "PNG"))
    paths = [str(tmp_path / "first")]
    for name, (_, data) in files().items():
        (tmp_path / name).write_bytes(data)
        paths.append(str(tmp_path / name))
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    for (name, (format, data)), line in zip(files().items(), done.stdout.splitlines(), strict=True):
        pixels, peak = map(int, line.split())
        peak -= 2 * len(data)  # the bare copy, and what is fed to the decoder
        assert peak <= BYTES_A_PIXEL[format] * pixels + SLACK_BYTES, (name, peak / pixels)
