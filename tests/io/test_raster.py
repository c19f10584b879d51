"""Pictures of every mode become (X, Y) or (X, Y, 3), X = column, and nothing is lost on the way."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageOps

from glioseg.errors import FileError, GeometryError
from glioseg.io.raster import (
    as_grey,
    binary_mask,
    is_turned,
    read_mask,
    read_picture,
    read_picture_header,
    read_stack,
    write_picture,
)
from tests.fakes.damage import as_empty, as_text, truncate

ROWS, COLUMNS = 3, 5
GREY = (np.arange(15).reshape(ROWS, COLUMNS) * 17).astype(np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
DEEP = (np.arange(15).reshape(ROWS, COLUMNS) * 4001 + 3).astype(np.uint16)
DEEP_COLOUR = np.stack([DEEP, 65535 - DEEP, DEEP // 2], axis=-1)


def saved(path: Path, picture: Pillow.Image) -> Path:
    picture.save(path)
    return path


def palette_picture(colours: list[tuple[int, int, int]]) -> Pillow.Image:
    """Pixel value i (0, 1, 2, 0, 1, …) shows ``colours[i]``."""
    picture = Pillow.frombytes("P", (COLUMNS, ROWS), bytes(value % 3 for value in range(15)))
    picture.putpalette([part for colour in colours for part in colour])
    return picture


def write_png16(path: Path, array: npt.NDArray[np.uint16], colour_type: int) -> Path:
    """A PNG of 16 bit as the standard says (Pillow writes none in colour): unfiltered rows, big-endian."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def assert_read(path: Path, expected: npt.NDArray[Any]) -> None:
    """``expected`` in (rows, columns[, 3]); the header agrees with the pixels."""
    pixels = read_picture(path)
    assert pixels.dtype.newbyteorder("=") == expected.dtype
    np.testing.assert_array_equal(pixels, np.swapaxes(expected, 0, 1))
    assert read_picture_header(path) == ((COLUMNS, ROWS), expected.ndim == 3)


def test_one_bit(tmp_path: Path) -> None:
    bits = GREY > 100
    assert_read(saved(tmp_path / "a.png", Pillow.fromarray(bits)), bits.astype(np.uint8) * 255)
    assert_read(saved(tmp_path / "a.tif", Pillow.fromarray(bits)), bits.astype(np.uint8) * 255)


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
def test_grey(tmp_path: Path, ending: str) -> None:
    assert_read(saved(tmp_path / f"a{ending}", Pillow.fromarray(GREY)), GREY)


def test_grey_with_alpha_drops_alpha(tmp_path: Path) -> None:
    alpha = np.full_like(GREY, 7)
    assert_read(saved(tmp_path / "a.png", Pillow.fromarray(np.stack([GREY, alpha], axis=-1))), GREY)


def test_palette_of_greys_is_one_channel(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", palette_picture([(0, 0, 0), (90, 90, 90), (255, 255, 255)]))
    assert_read(path, np.array([0, 90, 255], dtype=np.uint8)[np.arange(15).reshape(ROWS, COLUMNS) % 3])


def test_palette_of_colours_is_three_channels(tmp_path: Path) -> None:
    colours = [(0, 0, 0), (200, 10, 20), (1, 2, 3)]
    path = saved(tmp_path / "a.png", palette_picture(colours))
    assert_read(path, np.array(colours, dtype=np.uint8)[np.arange(15).reshape(ROWS, COLUMNS) % 3])


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
def test_colours(tmp_path: Path, ending: str) -> None:
    assert_read(saved(tmp_path / f"a{ending}", Pillow.fromarray(COLOUR)), COLOUR)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_colours_with_alpha_drop_alpha(tmp_path: Path, ending: str) -> None:
    pixels = np.concatenate([COLOUR, np.full((ROWS, COLUMNS, 1), 9, dtype=np.uint8)], axis=-1)
    assert_read(saved(tmp_path / f"a{ending}", Pillow.fromarray(pixels)), COLOUR)


def test_cmyk_becomes_colours(tmp_path: Path) -> None:
    # Pure cyan, full ink: red 0, green and blue 255.
    inks = np.zeros((ROWS, COLUMNS, 4), dtype=np.uint8)
    inks[..., 0] = 255
    path = saved(tmp_path / "a.tif", Pillow.frombytes("CMYK", (COLUMNS, ROWS), inks.tobytes()))
    assert_read(path, np.broadcast_to(np.array([0, 255, 255], dtype=np.uint8), (ROWS, COLUMNS, 3)))


def test_grey_of_16_bit_keeps_them(tmp_path: Path) -> None:
    assert_read(saved(tmp_path / "a.png", Pillow.fromarray(DEEP)), DEEP)
    assert_read(saved(tmp_path / "a.tif", Pillow.fromarray(DEEP)), DEEP)


def test_png_colours_of_16_bit_keep_them(tmp_path: Path) -> None:
    assert_read(write_png16(tmp_path / "a.png", DEEP_COLOUR, 2), DEEP_COLOUR)


def test_png_colours_of_16_bit_with_alpha(tmp_path: Path) -> None:
    with_alpha = np.concatenate([DEEP_COLOUR, np.full((ROWS, COLUMNS, 1), 65535, dtype=np.uint16)], axis=-1)
    assert_read(write_png16(tmp_path / "a.png", with_alpha, 6), DEEP_COLOUR)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        pytest.param(DEEP_COLOUR, {"photometric": "rgb"}, id="colours 16 bit"),
        pytest.param(DEEP_COLOUR, {"photometric": "rgb", "compression": "zlib"}, id="colours 16 bit packed"),
        pytest.param(GREY.astype(np.float64) / 7, {"photometric": "minisblack"}, id="double"),
        pytest.param(GREY.astype(np.float32) / 7, {"photometric": "minisblack"}, id="float"),
        pytest.param(COLOUR.astype(np.float32) / 7, {"photometric": "rgb"}, id="float colours"),
        pytest.param(GREY.astype(np.int8) - 60, {"photometric": "minisblack"}, id="signed 8 bit"),
        pytest.param(DEEP.astype(np.uint32) * 60000, {"photometric": "minisblack"}, id="unsigned 32 bit"),
        pytest.param(COLOUR, {"photometric": "minisblack", "planarconfig": "contig"}, id="three greys"),
    ],
)
def test_tiffs_that_pillow_misreads(tmp_path: Path, array: npt.NDArray[Any], options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, **options)
    assert_read(path, array)


def test_tiff_with_one_plane_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(DEEP_COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    assert_read(path, DEEP_COLOUR)


def test_tiff_of_two_channels_is_grey_with_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = np.stack([GREY, np.full_like(GREY, 7)], axis=-1)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    assert_read(path, GREY)


@pytest.mark.parametrize("array", [GREY, DEEP], ids=["8 bit", "16 bit"])
def test_white_is_zero_is_inverted(tmp_path: Path, array: npt.NDArray[Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="miniswhite")
    assert_read(path, np.iinfo(array.dtype).max - array)


def test_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY, GREY]), photometric="minisblack")
    for reader in (read_picture, read_picture_header):
        with pytest.raises(FileError, match="2 pages"):
            reader(path)


def test_tiff_of_five_channels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY] * 5, axis=-1), photometric="minisblack", planarconfig="contig")
    with pytest.raises(FileError, match="1 to 4 channels"):
        read_picture(path)


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength"])
def test_tiff_of_no_size_is_damaged(tmp_path: Path, tag: str) -> None:
    """16-bit colours, which are read by tifffile; a tag of its header says 0."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY.astype(np.uint16)] * 3, axis=-1), photometric="rgb")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[tag].overwrite(0)
    for reader in (read_picture, read_picture_header):
        with pytest.raises(FileError, match="its tags say no size"):
            reader(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "deep.tif"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    if name == "deep.tif":
        tifffile.imwrite(path, noise.astype(np.uint16) * 200, photometric="rgb")
    else:
        Pillow.fromarray(noise).save(path)
    truncate(path)
    with pytest.raises(FileError, match="damaged") as error:
        read_picture(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.tiff", "a.bmp"])
def test_text_with_the_name_of_a_picture(tmp_path: Path, name: str) -> None:
    as_text(tmp_path / name)
    for reader in (read_picture, read_picture_header):
        with pytest.raises(FileError, match="another format than its name says"):
            reader(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_file_of_no_bytes(tmp_path: Path, name: str) -> None:
    as_empty(tmp_path / name)
    for reader in (read_picture, read_picture_header):
        with pytest.raises(FileError, match="0 bytes"):
            reader(tmp_path / name)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_picture(tmp_path / "a.png")


def test_stack_of_greys(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{i}.png", Pillow.fromarray(GREY + i)) for i in range(2)]
    stack = read_stack(paths)
    assert stack.shape == (COLUMNS, ROWS, 2)
    np.testing.assert_array_equal(stack[..., 1], (GREY + 1).T)


def test_stack_with_one_in_colours(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{i}.png", Pillow.fromarray(array)) for i, array in enumerate((GREY, COLOUR))]
    stack = read_stack(paths)
    assert stack.shape == (COLUMNS, ROWS, 2, 3)
    np.testing.assert_array_equal(stack[:, :, 0], np.repeat(GREY.T[..., None], 3, axis=2))
    np.testing.assert_array_equal(stack[:, :, 1], np.swapaxes(COLOUR, 0, 1))


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colours"])
def test_stack_of_different_sizes_is_refused(pixels: npt.NDArray[Any], tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{i}.png", Pillow.fromarray(array)) for i, array in enumerate((pixels, pixels[:2]))]
    with pytest.raises(GeometryError, match=r"differ in size; found 5x2; expected 5x3 as 0\.png"):
        read_stack(paths)


@pytest.mark.parametrize("pixels", [GREY, DEEP, COLOUR], ids=["8 bit", "16 bit", "colours"])
def test_what_is_written_is_read(tmp_path: Path, pixels: npt.NDArray[Any]) -> None:
    path = tmp_path / "new" / "a.png"
    write_picture(path, np.swapaxes(pixels, 0, 1))
    assert_read(path, pixels)


def test_floats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="8 or 16 bit"):
        write_picture(tmp_path / "a.png", np.zeros((2, 2), dtype=np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "lossy", "expected"),
    [
        pytest.param([0, 255, 255], False, [0, 1, 1], id="0 and 255"),
        pytest.param([0, 1, 1], False, [0, 1, 1], id="0 and 1"),
        pytest.param([0, 65535, 1], False, [0, 1, 0], id="16 bit"),
        pytest.param([0, 1, 2, 4], False, [0, 1, 1, 1], id="labels 1, 2, 4 are all tumour"),
        pytest.param([0, 60, 127, 128, 255], False, [0, 0, 0, 1, 1], id="soft edge"),
        pytest.param([3, 9, 120, 130, 250], True, [0, 0, 0, 1, 1], id="JPEG fringe"),
        pytest.param([0, 3, 9, 2], True, [0, 0, 0, 0], id="JPEG noise over an empty mask"),
        pytest.param([0, 0, 0], False, [0, 0, 0], id="empty"),
    ],
)
def test_masks(values: list[int], lossy: bool, expected: list[int]) -> None:
    dtype = np.uint16 if max(values) > 255 else np.uint8
    mask = binary_mask(np.array([values], dtype=dtype), lossy=lossy)
    assert mask.dtype == np.uint8
    assert mask[0].tolist() == expected


@pytest.mark.parametrize(
    ("mode", "pixels", "expected", "in_alpha"),
    [
        pytest.param("RGB", [(0, 0, 0), (250, 0, 0)], [0, 250], False, id="the brightest colour counts"),
        pytest.param("RGBA", [(255, 255, 255, 0), (255, 255, 255, 255)], [0, 255], True, id="white, mask in alpha"),
        pytest.param("RGBA", [(0, 0, 0, 0), (0, 0, 0, 255)], [0, 255], True, id="black, mask in alpha"),
        pytest.param("RGBA", [(255, 255, 255, 0), (255, 0, 0, 255)], [0, 255], False, id="red on transparent white"),
        pytest.param("RGBA", [(0, 0, 0, 255), (255, 255, 255, 255)], [0, 255], False, id="opaque"),
        pytest.param("LA", [(7, 0), (7, 200)], [0, 200], True, id="grey, mask in alpha"),
        pytest.param("LA", [(9, 255), (200, 0)], [9, 0], False, id="what is transparent does not show"),
    ],
)
def test_masks_with_colours_and_transparency(
    tmp_path: Path, mode: str, pixels: list[tuple[int, ...]], expected: list[int], in_alpha: bool
) -> None:
    path = saved(tmp_path / "a.png", Pillow.fromarray(np.array([pixels], dtype=np.uint8), mode))
    grey, was_in_alpha = read_mask(path)
    assert grey[:, 0].tolist() == expected
    assert was_in_alpha is in_alpha


def test_a_transparent_palette_is_transparency(tmp_path: Path) -> None:
    """A GIF-like PNG: entry 0 is transparent white, entry 1 opaque red."""
    picture = Pillow.fromarray(np.array([[0, 1, 1]], dtype=np.uint8), "P")
    picture.putpalette([255, 255, 255, 255, 0, 0])
    picture.save(tmp_path / "a.png", transparency=0)
    assert read_mask(tmp_path / "a.png")[0][:, 0].tolist() == [0, 255, 255]


def test_jpeg_mask_comes_back_from_its_file(tmp_path: Path) -> None:
    mask = np.zeros((24, 32), dtype=np.uint8)
    mask[5:14, 7:20] = 255
    Pillow.fromarray(mask).save(tmp_path / "a.jpg", quality=60)
    pixels = read_picture(tmp_path / "a.jpg")
    assert len(np.unique(pixels)) > 2  # there is a fringe to get rid of
    np.testing.assert_array_equal(binary_mask(pixels, lossy=True), mask.T // 255)


# -- pictures that say how they are to be turned -----------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_picture_is_read_as_it_is_shown(tmp_path: Path, orientation: int, ending: str, mode: str) -> None:
    pixels = np.kron(GREY, np.ones((8, 8))).astype(np.uint8)  # blocks of 8, which JPEG keeps
    picture = Pillow.fromarray(pixels).convert(mode)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{ending}"
    picture.save(path, exif=exif)
    stored = Pillow.open(path) if ending == ".jpg" else picture  # what JPEG keeps of it
    turned = Pillow.fromarray(np.asarray(stored))
    turned.getexif()[0x0112] = orientation
    expected = np.swapaxes(np.asarray(ImageOps.exif_transpose(turned)), 0, 1)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert read_picture_header(path) == (expected.shape[:2], mode == "RGB")
    assert is_turned(path) == (orientation > 1 and ending != ".tif")


def test_a_damaged_orientation_is_none(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09")
    assert read_picture(tmp_path / "a.jpg").shape == (COLUMNS, ROWS)
    assert not is_turned(tmp_path / "a.jpg")


@pytest.mark.parametrize("apart", [0, 5])
def test_grey_that_is_stored_in_colours(apart: int) -> None:
    stack = np.repeat(GREY.T[:, :, None, None], 3, axis=3).clip(10, 240)
    stack[..., 2] += np.uint8(apart)
    grey = as_grey(stack, Path("a.png"))
    assert grey.dtype == np.uint8
    np.testing.assert_allclose(grey, stack[..., 0], atol=(apart + 2) // 3)


def test_grey_in_three_floating_point_channels_is_their_mean() -> None:
    stack = np.array([[0.0, 0.25], [0.5, 1.0]], dtype=np.float32)[:, :, None, None] * np.ones(3, dtype=np.float32)
    stack[..., 2] += np.float32(0.015)
    grey = as_grey(stack, Path("a.tif"))
    assert grey.dtype == np.float32
    assert grey.shape == (2, 2, 1)
    np.testing.assert_allclose(grey[..., 0], [[0.005, 0.255], [0.505, 1.005]], rtol=1e-6)


def test_colours_are_not_grey() -> None:
    with pytest.raises(GeometryError, match=r"a\.png: the picture shows colours, where one grey channel is needed"):
        as_grey(np.swapaxes(COLOUR, 0, 1)[:, :, None], Path("a.png"))
