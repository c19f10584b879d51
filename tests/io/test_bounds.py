"""Files that ask for more than they may: refused before memory is taken, and one such file costs nothing else."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from glioseg.errors import FileError
from glioseg.io.bounds import reading
from glioseg.io.hdf5 import read_hdf5_stack
from glioseg.io.metaimage import read_metaimage
from glioseg.io.nifti import read_nifti
from glioseg.io.raster import read_picture, read_picture_header, read_stack
from glioseg.io.tiff import read_tiff


def nifti_header(shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> bytes:
    """The 352 bytes before the voxels of a file that has none."""
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(kind)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    header.set_sform(np.eye(4), code=1)
    return bytes(header.binaryblock) + bytes(4)


def png_of(columns: int, rows: int, packed: bytes, *, bits: int = 8, colours: int = 2) -> bytes:
    """A PNG file with sound check sums."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", columns, rows, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_terabytes_in_a_nifti_header(tmp_path: Path, ending: str) -> None:
    """A file of 95 bytes, packed, that declares 3 TB."""
    header = nifti_header((32000, 32000, 3000))
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(header) if ending == ".nii.gz" else header)
    with pytest.raises(FileError, match=r"more voxels than are read; found 32000x32000x3000; .*max_voxels="):
        read_nifti(path)
    with pytest.raises(FileError, match="damaged or cut off"):
        read_nifti(path, 1 << 60)


def test_a_limit_is_met_to_the_voxel(tmp_path: Path) -> None:
    nibabel.Nifti1Image(np.zeros((4, 3, 2), np.uint8), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    assert read_nifti(tmp_path / "a.nii.gz", 24)[0].shape == (4, 3, 2)
    with pytest.raises(FileError, match="at most 23 voxels"):
        read_nifti(tmp_path / "a.nii.gz", 23)


def test_gigabytes_behind_the_voxels(tmp_path: Path) -> None:
    """Forty kilobytes that unpack to 40 MB behind 8 voxels."""
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti_header((2, 2, 2)) + bytes(8) + bytes(40 << 20)))
    with pytest.raises(FileError, match="far more lies behind"):
        read_nifti(tmp_path / "a.nii.gz")


def test_a_picture_of_a_thousand_millions(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(12000, 12000, zlib.compress(bytes(1000))))
    with pytest.raises(FileError, match="12000x12000x3"):
        read_picture(tmp_path / "a.png")


def test_a_picture_that_cannot_be_in_its_file(tmp_path: Path) -> None:
    """Deflate makes no more than 1032 bytes of one."""
    (tmp_path / "a.png").write_bytes(png_of(4000, 4000, zlib.compress(bytes(1000))))
    with pytest.raises(FileError, match="damaged or cut off"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_every_byte_of_a_png_is_checked(tmp_path: Path, mode: str) -> None:
    """Pillow looks at the check sums of few chunks, and decodes what was changed."""
    Pillow.new(mode, (6, 5), 7 if mode != "RGB" else (7, 8, 9)).save(tmp_path / "a.png")
    sound = (tmp_path / "a.png").read_bytes()
    read_picture(tmp_path / "a.png")
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 4
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(FileError):
            read_picture(tmp_path / "a.png")


def test_a_tiff_of_gigabytes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 5), np.float64))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(60000)
    with pytest.raises(FileError, match="60000x60000"):
        read_picture(tmp_path / "a.tif")


def test_a_stack_counts_as_one(tmp_path: Path) -> None:
    """Nine pictures of 30 pixels, each of which may have an eighth of the limit."""
    paths = [tmp_path / f"{z}.png" for z in range(9)]
    for path in paths:
        Pillow.new("L", (6, 5)).save(path)
    assert read_stack(paths[:8], 240).shape == (6, 5, 8)
    with pytest.raises(FileError, match="6x5x9; expected at most 240 voxels"):
        read_stack(paths, 240)


def test_an_hdf5_file_of_gigabytes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", (30000, 30000, 4), "f8", chunks=(100, 100, 4), compression="gzip")
    with pytest.raises(FileError, match="30000x30000x4"):
        read_hdf5_stack([tmp_path / "a.h5"], "image")


def _external(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", (4, 3, 2), "u1", external=[(str(path.parent / "secret"), 0, 24)])


def _link(path: Path) -> None:
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["image"] = np.zeros((4, 3, 2), np.uint8)
    with h5py.File(path, "w") as file:
        file["image"] = h5py.ExternalLink("other.h5", "image")


def _virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((4, 3, 2), "u1")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "image", (4, 3, 2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("image", layout)


@pytest.mark.parametrize("make", [_external, _link, _virtual])
def test_an_hdf5_file_that_names_another(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """It would read any file of this machine into an image."""
    (tmp_path / "secret").write_bytes(b"s" * 24)
    make(tmp_path / "a.h5")
    with pytest.raises(FileError, match="a reference to another file"):
        read_hdf5_stack([tmp_path / "a.h5"], "image")


READERS: Mapping[str, Callable[[Path], object]] = {
    **{"a.nii": read_nifti, "a.nii.gz": read_nifti, "a.mha": read_metaimage, "a.nrrd": read_metaimage},
    **{"a.png": read_picture, "a.tif": read_picture, "a.h5": lambda path: read_hdf5_stack([path], "image")},
}


@pytest.mark.parametrize("name", READERS)
def test_a_named_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(FileError, match="found a named pipe"):
        READERS[name](path)


@pytest.mark.parametrize("kind", [MemoryError, RecursionError, AssertionError, ZeroDivisionError, NotImplementedError])
def test_whatever_a_library_raises_is_the_files(tmp_path: Path, kind: type[Exception]) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(FileError) as caught, reading(tmp_path / "a"):
        raise kind
    assert caught.value.path == str(tmp_path / "a")
    assert ("not enough memory" in caught.value.what) == (kind is MemoryError)


def test_a_tiff_that_wants_a_library(tmp_path: Path) -> None:
    """Packed with what only imagecodecs unpacks: no damage, and said so."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 5), np.float64))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(34925)  # LZMA
        file.pages[0].tags["Compression"].overwrite(50000)  # Zstandard
    with pytest.raises(FileError, match=r"packed in a way that is not read; found ZSTD.*Save it as PNG"):
        read_picture(tmp_path / "a.tif")


def test_a_tiff_without_a_size(tmp_path: Path) -> None:
    """A tag of two numbers where one is the width."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 5), np.float64))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite((5, 6))
    for read in (read_picture, read_picture_header):
        with pytest.raises(FileError, match="its tags say no size"):
            read(tmp_path / "a.tif")


def test_pixels_of_one_bit_are_black_and_white(tmp_path: Path) -> None:
    """As Pillow reads them, and tifffile writes white as 0; truth values could not be subtracted."""
    tifffile.imwrite(tmp_path / "a.tif", np.eye(6, 5, dtype=np.bool_))
    pixels = read_tiff(tmp_path / "a.tif", 1000)
    np.testing.assert_array_equal(pixels, 255 - np.eye(5, 6, dtype=np.uint8) * 255)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), pixels)
