"""What the largest pictures that are accepted take of a decoding thread: processor seconds and memory.

python -m bench.resilience.pictures
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from PIL import Image

from tests.hostile import encoded, many_scans, png

MEASURE = """
import sys, time
from pathlib import Path
from models.images.decode import ImageLimits, decode

data = Path(sys.argv[1]).read_bytes()
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
began = time.thread_time()
picture = decode(data, ImageLimits())
seconds = time.thread_time() - began
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(picture.width * picture.height / 1e6, len(data) / 1e6, seconds, int(peak.split()[1]) / 1024)
"""


def largest() -> dict[str, bytes]:
    """The largest that pass the limits by format and mode; gradients, so that they fit the limit of bytes."""
    grey = Image.radial_gradient("L")
    full, less = grey.resize((7070, 7070)), grey.resize((6320, 6320))  # 50 and 40 megapixels
    deep = grey.resize((5000, 5000))  # 25
    rgb, clear, clear_less = full.convert("RGB"), full.convert("RGBA"), less.convert("RGBA")
    clear.putalpha(full)
    clear_less.putalpha(less)
    strip = zlib.compress(bytes(65_535 * (1 + 762 * 4)), 1)
    return {
        "JPEG": encoded(rgb, "JPEG", quality=90),
        "JPEG, progressive": many_scans(7070, 7070, 12),
        "PNG": encoded(rgb, "PNG", compress_level=1),
        "PNG, transparent": encoded(clear, "PNG", compress_level=1),
        "PNG, 762 × 65,535, transparent": png(762, 65_535, (b"IDAT", strip), colour=6),
        "PNG, 16 bits": encoded(deep.convert("I;16"), "PNG", compress_level=1),
        "GIF": encoded(full, "GIF"),
        "BMP": encoded(grey.resize((3250, 3250)).convert("RGB"), "BMP"),
        "WebP": encoded(less.convert("RGB"), "WEBP", method=0),
        "WebP, transparent": encoded(clear_less, "WEBP", method=0),
        "WebP, lossless, transparent": encoded(clear_less, "WEBP", lossless=True, method=0),
        "AVIF, transparent": encoded(clear_less, "AVIF", speed=10),
    }


def measure() -> dict[str, dict[str, float]]:
    """Each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in largest().items():
            file = Path(folder) / "picture"
            file.write_bytes(data)
            done = subprocess.run(
                [sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                found[name] = {"refused": 1.0}
                print(done.stderr.splitlines()[-1], file=sys.stderr)
                continue
            megapixels, megabytes, seconds, mib = map(float, done.stdout.split())
            found[name] = {
                "megapixels": round(megapixels, 1),
                "mb": round(megabytes, 2),
                "seconds": round(seconds, 2),
                "peak_mib": round(mib),
            }
    return found


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1, ensure_ascii=False))
