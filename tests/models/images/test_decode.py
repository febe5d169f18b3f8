"""Whatever the bytes are: an upright RGB picture, or ImageRejected with the right reason, nothing else."""

import io
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, WebPImagePlugin

from models.errors import ImageRejected
from models.images.decode import DecodedImage, ImageLimits, decode
from tests import hostile
from tests.hostile import encoded, photograph, png

LIMITS = ImageLimits()
PHOTO = photograph(160, 120)


def rejected(data: bytes, limits: ImageLimits = LIMITS) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits)
    return caught.value


def pixels(picture: DecodedImage) -> np.ndarray:
    assert picture.rgb.mode == "RGB"
    return np.asarray(picture.rgb).astype(int)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("WEBP", {"quality": 95}),
        ("AVIF", {"quality": 95}),
        ("GIF", {}),
    ],
)
def test_each_format_gives_the_picture(format: str, options: dict[str, object]) -> None:
    picture = decode(encoded(PHOTO, format, **options), LIMITS)
    assert (picture.width, picture.height, picture.format) == (160, 120, format)
    difference = np.abs(pixels(picture) - np.asarray(PHOTO)).mean()
    lossless = format in ("PNG", "BMP") or options.get("lossless")
    assert difference == 0 if lossless else difference < 6


def test_the_eight_orientations_give_one_picture() -> None:
    upright = decode(hostile.oriented(1), LIMITS)
    for orientation in range(2, 9):
        picture = decode(hostile.oriented(orientation), LIMITS)
        assert (picture.width, picture.height) == (160, 120) == picture.rgb.size
        assert np.abs(pixels(picture) - pixels(upright)).mean() < 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_other_formats_too(format: str) -> None:
    picture = decode(encoded(PHOTO, format, exif=hostile.exif(6)), LIMITS)
    assert (picture.width, picture.height) == (120, 160) == picture.rgb.size


def test_an_avif_file_is_turned_once() -> None:
    picture = decode(encoded(PHOTO, "AVIF", exif=hostile.exif(6), quality=95), LIMITS)
    assert picture.rgb.size == (120, 160)
    expected = np.asarray(PHOTO.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(pixels(picture) - expected).mean() < 6


@pytest.mark.parametrize("at_least", [60, 100, 200, 448])
def test_a_draft_is_smaller_but_never_too_small(at_least: int) -> None:
    data = encoded(photograph(1600, 1200), "JPEG", exif=hostile.exif(6))
    picture = decode(data, LIMITS, at_least=at_least)
    assert (picture.width, picture.height) == (1200, 1600)
    assert at_least <= min(picture.rgb.size) < max(4 * at_least, 1201)
    exact = decode(data, LIMITS).rgb
    assert exact.size == (1200, 1600)
    small = np.asarray(picture.rgb.resize((60, 80))).astype(int)
    assert np.abs(small - np.asarray(exact.resize((60, 80)))).mean() < 3


def test_a_draft_of_a_small_or_another_picture_is_exact() -> None:
    assert decode(encoded(PHOTO, "JPEG"), LIMITS, at_least=448).rgb.size == (160, 120)
    assert decode(encoded(photograph(400, 300), "PNG"), LIMITS, at_least=10).rgb.size == (400, 300)


def test_what_is_transparent_shows_white() -> None:
    half = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    half.putpixel((1, 0), (200, 0, 0, 0))
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([200, 0, 0, 0, 0, 200])
    indexed.putpixel((1, 0), 1)
    grey = Image.new("LA", (2, 1), (0, 255))
    grey.putpixel((1, 0), (0, 0))
    files = {
        "RGBA": encoded(half, "PNG"),
        "WebP": encoded(half, "WEBP", lossless=True),
        "palette": encoded(indexed, "PNG", transparency=1),
        "palette of alphas": encoded(indexed, "PNG", transparency=b"\xff\x00"),
        "GIF": encoded(indexed, "GIF", transparency=1),
        "LA": encoded(grey, "PNG"),
        "RGB with a clear colour": encoded(indexed.convert("RGB"), "PNG", transparency=(0, 0, 200)),
        "L with a clear grey": encoded(Image.frombytes("L", (2, 1), b"\x07\x63"), "PNG", transparency=0x63),
    }
    for name, data in files.items():
        row = pixels(decode(data, LIMITS))[0]
        assert row[1].tolist() == [255, 255, 255], name
        assert row[0].tolist() in ([200, 0, 0], [0, 0, 0], [7, 7, 7]), name


def test_half_transparent_is_mixed_with_white_on_every_row() -> None:
    tall = Image.new("RGBA", (1500, 1500), (0, 0, 0, 51))  # composited in several bands
    assert np.all(pixels(decode(encoded(tall, "PNG", compress_level=1), LIMITS)) == 204)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 256, 25_700, 65_535]], dtype=np.uint16)
    row = pixels(decode(encoded(Image.fromarray(values), "PNG"), LIMITS))[0]
    assert row[:, 0].tolist() == [0, 1, 100, 255]
    colours = zlib.compress(b"\0" + bytes((0x64, 0x80, 0xFF, 0xFF, 0, 0)))
    assert pixels(decode(png(1, 1, (b"IDAT", colours), depth=16), LIMITS)).tolist() == [[[100, 255, 0]]]


def test_one_bit_and_grey_become_rgb() -> None:
    for mode in ("1", "L"):
        picture = pixels(decode(encoded(Image.linear_gradient("L").convert(mode), "PNG"), LIMITS))
        assert picture[0].max() == 0
        assert picture[255].min() == 255


def test_print_colours_are_the_right_way_round() -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 30)).convert("CMYK")
    assert np.abs(pixels(decode(encoded(red, "JPEG", quality=95), LIMITS)) - [220, 30, 30]).max() < 8


def test_limits_are_named_in_the_message() -> None:
    data = encoded(PHOTO, "PNG")
    few = rejected(data, ImageLimits(max_pixels=10_000))
    assert few.reason == "too_many_pixels"
    assert "19,200 pixels; at most 10,000 are accepted (CANDID_MAX_PIXELS)" in few.message
    short = rejected(data, ImageLimits(max_bytes=1000))
    assert short.reason == "too_many_bytes"
    assert f"{len(data):,} bytes; at most 1,000 are accepted (CANDID_MAX_IMAGE_BYTES)" in short.message
    assert decode(data, ImageLimits(max_pixels=19_200, max_bytes=len(data))).width == 160


def test_a_side_is_limited_and_the_longest_is_decoded() -> None:
    row = (b"IDAT", zlib.compress(bytes(65_535 // 8 + 2)))
    longest = png(65_535, 1, row, depth=1, colour=0)
    assert (decode(longest, LIMITS).width, decode(longest, LIMITS).height) == (65_535, 1)
    assert rejected(png(65_536, 1, row, depth=1, colour=0)).message == (
        "65536 × 1 pixels; at most 65,535 a side are accepted"
    )


def test_the_limit_of_a_costly_format_is_named_in_pixels() -> None:
    data = encoded(PHOTO, "WEBP")
    error = rejected(data, ImageLimits(max_scan_pixels=250_000))
    assert error.reason == "too_costly"
    assert "19,200 pixels that take 25 decoding passes; at most 10,000 such pixels" in error.message


def test_more_than_pillows_own_limit_is_the_operators_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow would warn at 1,000 and refuse at 2,000
    for name, data in hostile.seeds().items():
        assert decode(data, LIMITS).width in (64, 48), name


@pytest.mark.parametrize("name", hostile.crafted())
def test_crafted_files_get_their_reason(name: str) -> None:
    crafted = hostile.crafted()[name]
    if crafted.reason is None:
        assert decode(crafted.data, LIMITS).rgb.mode == "RGB"
    else:
        assert rejected(crafted.data).reason == crafted.reason


@pytest.mark.parametrize("name", hostile.seeds())
def test_a_bomb_is_refused_before_it_takes_memory(name: str) -> None:
    data = hostile.seeds()[name]
    limits = ImageLimits(max_pixels=64 * 48 - 1)
    rejected(data, limits)
    tracemalloc.start()
    try:
        rejected(data, limits)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_only_the_first_frame_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("a second frame was asked for")

    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    films = {
        format: encoded(red, format, save_all=True, append_images=[blue]) for format in ("GIF", "WEBP", "PNG")
    }
    for plugin in (GifImagePlugin.GifImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(plugin, "seek", forbidden)
    for format, film in films.items():
        assert pixels(decode(film, LIMITS))[8, 8, 2] == 0, format  # nothing blue
    still = decode(hostile.many_frames(10_000), LIMITS)
    assert np.array_equal(pixels(still), pixels(decode(hostile.many_frames(0), LIMITS)))


def test_truncated_files_are_damaged_wherever_they_end() -> None:
    for name, data in hostile.seeds().items():
        if "animated" in name or "PNG" in name:  # a PNG is whole without its last, empty chunk
            continue
        for share in (0.3, 0.6, 0.9):
            assert rejected(data[: int(len(data) * share)]).reason == "damaged", (name, share)


def test_no_traceback_keeps_the_picture() -> None:
    error = rejected(encoded(PHOTO, "JPEG")[:2000])
    assert error.__cause__ is None
    assert error.__context__ is None


def test_why_a_file_is_damaged_can_be_looked_up_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "models.images.decode")
    rejected(encoded(PHOTO, "PNG")[:100])
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_out_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", exhausted)
    error = rejected(encoded(PHOTO, "PNG"))
    assert (error.reason, error.message) == (
        "too_costly",
        "there is not enough memory to decode this PNG file",
    )


def test_thousands_of_mutated_files_raise_nothing_else() -> None:
    outcomes = {"accepted": 0, "rejected": 0}
    for number, (_, data) in enumerate(hostile.mutations(3000, seed=7)):
        try:
            picture = decode(data, LIMITS, at_least=64 if number % 2 else None)
        except ImageRejected:
            outcomes["rejected"] += 1
        else:
            assert picture.rgb.mode == "RGB"
            assert picture.rgb.size == (picture.width, picture.height) or picture.format == "JPEG"
            outcomes["accepted"] += 1
    assert min(outcomes.values()) > 300


def test_threads_do_not_disturb_each_other() -> None:
    barrier = threading.Barrier(4)
    files = list(hostile.seeds().values())
    alone = [pixels(decode(data, LIMITS)) for data in files]

    def all_of_them() -> bool:
        barrier.wait()
        return all(
            np.array_equal(pixels(decode(data, LIMITS)), seen)
            for data, seen in zip(files, alone, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(future.result() for future in [pool.submit(all_of_them) for _ in range(4)])


def test_bytes_with_another_files_ending_are_judged_by_what_they_are() -> None:
    # No name comes with the bytes: only the first of them decide.
    assert decode(encoded(PHOTO, "PNG"), LIMITS).format == "PNG"
    buffer = io.BytesIO()
    PHOTO.save(buffer, "TIFF")
    assert "TIFF files are not accepted: send JPEG" in rejected(buffer.getvalue()).message
