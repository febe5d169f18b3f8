"""The marker walk agrees with libjpeg: scans, sizes, orientation; metadata is neither counted nor kept."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from models.errors import ImageRejected
from models.images import jpeg
from tests.hostile import encoded, exif, many_scans, photograph

PHOTO = photograph(96, 64)


def segment(code: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def test_a_baseline_file_is_one_pass_of_its_samples() -> None:
    container = jpeg.read(encoded(PHOTO, "JPEG", subsampling=2))
    assert (container.format, container.width, container.height) == ("JPEG", 96, 64)
    assert container.passes == 1.5  # a full brightness plane and two quarters of colour


def test_a_progressive_file_counts_each_scan_by_the_samples_it_visits() -> None:
    full = jpeg.read(encoded(PHOTO, "JPEG", progressive=True, subsampling=0)).passes
    grey = jpeg.read(encoded(PHOTO.convert("L"), "JPEG", progressive=True)).passes
    assert grey == 6  # libjpeg's script for one component
    assert full == 14  # 10 scans, two of which visit all three components


@pytest.mark.parametrize("scans", [1, 10, 500])
def test_added_scans_are_counted(scans: int) -> None:
    assert jpeg.read(many_scans(32, 32, scans)).passes == jpeg.read(many_scans(32, 32, 0)).passes + scans


def test_scan_markers_inside_metadata_are_not_counted() -> None:
    plain = encoded(PHOTO, "JPEG")
    thumbnail = segment(0xE1, b"Exif\0\0" + plain * 3) + segment(0xFE, b"\xff\xda\x00\x08" * 1000)
    assert jpeg.read(plain[:2] + thumbnail + plain[2:]).passes == jpeg.read(plain).passes


def test_stuffed_bytes_and_restarts_do_not_end_a_scan() -> None:
    # Noise at the best quality is full of FF bytes, and a restart marker stands after every row of blocks.
    noise = Image.effect_noise((256, 256), 120)
    data = encoded(noise, "JPEG", quality=100, restart_marker_rows=1)
    assert data.count(b"\xff\x00") > 10
    assert data.count(b"\xff\xd0") > 1
    assert jpeg.read(data).passes == 1


def test_what_follows_the_end_of_the_image_is_dropped() -> None:
    plain = encoded(PHOTO, "JPEG")
    assert jpeg.read(plain + encoded(PHOTO, "JPEG", progressive=True)).data == jpeg.read(plain).data


def test_the_decoder_sees_no_metadata_and_the_same_pixels() -> None:
    loud = encoded(PHOTO, "JPEG", exif=exif(6), icc_profile=b"p" * 100_000, comment=b"hello", dpi=(72, 72))
    bare = jpeg.read(loud).data
    with Image.open(io.BytesIO(bare)) as image, Image.open(io.BytesIO(loud)) as original:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
        assert np.array_equal(np.asarray(image), np.asarray(original))


def test_adobes_colour_transform_survives() -> None:
    inverted = encoded(PHOTO.convert("CMYK"), "JPEG")
    with (
        Image.open(io.BytesIO(jpeg.read(inverted).data)) as image,
        Image.open(io.BytesIO(inverted)) as original,
    ):
        assert image.info["adobe"] == original.info["adobe"]
        assert np.array_equal(np.asarray(image), np.asarray(original))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read(orientation: int, order: str) -> None:
    data = encoded(PHOTO, "JPEG", exif=exif(orientation, order))
    assert jpeg.read(data).orientation == orientation


@pytest.mark.parametrize(
    "broken",
    [
        b"Exif\0\0",
        b"Exif\0\0MM\0*",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        exif(0),
        exif(9),
        exif(65535),
        exif(6)[:-9],
        b"Exif\0\0nothing of the kind",
    ],
)
def test_broken_exif_means_upright(broken: bytes) -> None:
    assert jpeg.read(encoded(PHOTO, "JPEG", exif=broken)).orientation == 1


@pytest.mark.parametrize("code", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF, 0xDE])
def test_frames_of_rare_kinds_are_refused(code: int) -> None:
    data = encoded(PHOTO, "JPEG").replace(b"\xff\xc0", bytes((0xFF, code)), 1)
    with pytest.raises(ImageRejected) as caught:
        jpeg.read(data)
    assert caught.value.reason == "format_not_allowed"


@pytest.mark.parametrize("flood", [b"\xff\xfe\0\2", b"\xff\xd8", b"\xff\xe1\0\0"])
def test_a_flood_of_markers_is_refused(flood: bytes) -> None:
    data = encoded(PHOTO, "JPEG")
    with pytest.raises(ImageRejected) as caught:
        jpeg.read(data[:2] + flood * 100_000 + data[2:])
    assert caught.value.reason == "too_costly"


def test_a_file_of_nothing_but_fill_bytes_is_walked_in_one_pass() -> None:
    with pytest.raises(ImageRejected) as caught:
        jpeg.read(b"\xff\xd8" + b"\xff" * 5_000_000)
    assert caught.value.reason == "damaged"
