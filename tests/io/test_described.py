"""Headers of MetaImage and NRRD as programs write them, SimpleITK being the judge; and as nobody should write them."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the name everyone uses

from glioseg.core import Grid
from glioseg.core.grid import LPS_TO_RAS
from glioseg.errors import FileError, GliosegError
from glioseg.io.metaimage import read_metaimage, read_metaimage_grid

SIZES = (4, 3, 2)
VOXELS: npt.NDArray[np.int16] = np.arange(24, dtype=np.int16).reshape(SIZES, order="F") * 7 - 50
RAW = VOXELS.tobytes(order="F")
OBLIQUE = "(0,1.5,0) (2,0,0.5) (0,0.25,-3)"

NRRD = {"type": "short", "dimension": "3", "sizes": "4 3 2", "endian": "little", "encoding": "raw"}
META = {
    **{"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False"},
    **{"DimSize": "4 3 2", "ElementType": "MET_SHORT"},
}


def nrrd(path: Path, fields: Mapping[str, str], voxels: bytes = RAW) -> Path:
    """An NRRD file of those fields, in their order."""
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items())
    path.write_bytes(b"NRRD0004\n# a comment\n" + lines.encode() + b"key:=value: with a colon\n\n" + voxels)
    return path


def meta(path: Path, fields: Mapping[str, str], data: str = "LOCAL", voxels: bytes = RAW) -> Path:
    """A MetaImage of those fields."""
    lines = "".join(f"{name} = {value}\n" for name, value in {**META, **fields, "ElementDataFile": data}.items())
    path.write_bytes(lines.encode() + (voxels if data == "LOCAL" else b""))
    return path


def by_itk(path: Path) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float64]]:
    """What SimpleITK reads: (X, Y, Z) or (X, Y, Z, C), and the affine in RAS+ mm."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return np.moveaxis(array, -1, 0).T if array.ndim == 4 else array.T, LPS_TO_RAS @ affine


def require_the_same(path: Path) -> None:
    array, affine = by_itk(path)
    read, grid = read_metaimage(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype.newbyteorder("=")
    assert grid.furthest_mm(Grid(grid.shape, affine)) < 1e-6
    assert read_metaimage_grid(path) == (grid, read.shape[3] if read.ndim == 4 else 1)


IN_SPACE = {"space directions": OBLIQUE, "space origin": "(10,-20,30.5)"}
FORMS: Mapping[str, tuple[Mapping[str, str], bytes]] = {
    "nothing but voxels": ({}, RAW),
    "spacings": ({"spacings": "1.5 2 3"}, RAW),
    **{
        space: ({"space": space, **IN_SPACE}, RAW)
        for space in ("left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "left-anterior-superior")
    },
    "a space without sides": ({"space dimension": "3", **IN_SPACE}, RAW),
    "big endian": ({"endian": "big"}, VOXELS.astype(">i2").tobytes(order="F")),
    "gzip": ({"encoding": "gzip"}, gzip.compress(RAW)),
    "gz": ({"encoding": "gz"}, gzip.compress(RAW)),
    "text": ({"encoding": "text"}, " ".join(map(str, VOXELS.ravel(order="F"))).encode()),
    "few characters for many bytes": ({"type": "double", "encoding": "text"}, b"0 1 " * 12),
    "hex": ({"encoding": "hex"}, RAW.hex().encode()),
    "byte skip": ({"byte skip": "5"}, b"12345" + RAW),
    "voxels at the end": ({"byte skip": "-1"}, b"whatever stands there" + RAW),
    "line skip": ({"line skip": "2"}, b"one\ntwo\n" + RAW),
    "a long key": ({"content": "x" * 1500}, RAW),
}


@pytest.mark.parametrize("form", FORMS)
def test_nrrd_as_simpleitk_reads_it(tmp_path: Path, form: str) -> None:
    fields, voxels = FORMS[form]
    require_the_same(nrrd(tmp_path / "a.nrrd", {**NRRD, **fields}, voxels))


@pytest.mark.parametrize("kind", ["vector", "list", "RGB-color", "3-vector"])
def test_channels_of_an_nrrd(tmp_path: Path, kind: str) -> None:
    """Three values in each voxel, the first axis."""
    fields = NRRD | {"dimension": "4", "sizes": "3 4 2 1", "space": "LPS", "kinds": f"{kind} domain domain domain"}
    path = nrrd(tmp_path / "a.nrrd", fields | {"space directions": "none (1,0,0) (0,2,0) (0,0,3)"})
    require_the_same(path)
    assert read_metaimage(path)[0].shape == (4, 2, 1, 3)


def test_channels_that_are_the_last_axis(tmp_path: Path) -> None:
    fields = NRRD | {"dimension": "4", "sizes": "4 3 1 2", "space": "LPS", "kinds": "domain domain domain list"}
    path = nrrd(tmp_path / "a.nrrd", fields | {"space directions": "(1,0,0) (0,2,0) (0,0,3) none"})
    np.testing.assert_array_equal(read_metaimage(path)[0][:, :, 0], VOXELS)


def test_bzip2(tmp_path: Path) -> None:
    """SimpleITK is built without it."""
    path = nrrd(tmp_path / "a.nrrd", NRRD | {"encoding": "bzip2"}, bz2.compress(RAW))
    np.testing.assert_array_equal(read_metaimage(path)[0], VOXELS)


def test_an_nhdr_beside_its_voxels(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(RAW)
    require_the_same(nrrd(tmp_path / "a.nhdr", NRRD | {"data file": "a.raw"}, b""))


META_FORMS: Mapping[str, tuple[Mapping[str, str], bytes]] = {
    "nothing but voxels": ({}, RAW),
    "oblique": (
        {"TransformMatrix": "0 1 0 1 0 0 0 0 -1", "Offset": "1 2 3", "ElementSpacing": "1.5 2 3"},
        RAW,
    ),
    "a size in place of a spacing": ({"ElementSize": "1.5 2 3"}, RAW),
    "other names": ({"Position": "1 2 3", "Orientation": "0 1 0 1 0 0 0 0 -1"}, RAW),
    "big endian": ({"BinaryDataByteOrderMSB": "True"}, VOXELS.astype(">i2").tobytes(order="F")),
    "zlib": ({"CompressedData": "True", "CompressedDataSize": str(len(zlib.compress(RAW)))}, zlib.compress(RAW)),
    "channels": ({"DimSize": "2 3 2", "ElementNumberOfChannels": "2"}, RAW),
    "text": ({"BinaryData": "False"}, "".join(f"{value} " for value in VOXELS.ravel(order="F")).encode()),
}


@pytest.mark.parametrize("form", META_FORMS)
def test_metaimage_as_simpleitk_reads_it(tmp_path: Path, form: str) -> None:
    fields, voxels = META_FORMS[form]
    require_the_same(meta(tmp_path / "a.mha", fields, voxels=voxels))


@pytest.mark.parametrize("skip", [0, 7, -1])
def test_an_mhd_beside_its_voxels(tmp_path: Path, skip: int) -> None:
    (tmp_path / "a.raw").write_bytes(b"1234567"[: abs(skip) if skip > 0 else 7 * -skip] + RAW)
    require_the_same(meta(tmp_path / "a.mhd", {"HeaderSize": str(skip)}, "a.raw"))


# --- damage and malice ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret.raw", "/etc/passwd", "/dev/zero", "sub/../../secret.raw", "", "..\\secret"]
)
def test_voxels_that_lie_elsewhere(tmp_path: Path, name: str) -> None:
    """A header that came with a data set must not say which file of this machine is read."""
    (tmp_path / "secret.raw").write_bytes(RAW)
    (tmp_path / "set").mkdir()
    paths = [meta(tmp_path / "set" / "a.mhd", {}, name)]
    paths += [nrrd(tmp_path / "set" / "a.nhdr", NRRD | {"data file": name}, b"")]
    for path in paths:
        with pytest.raises(FileError, match="do not lie beside it"):
            read_metaimage(path)


@pytest.mark.parametrize("name", ["LIST", "slice%03d.raw 1 2 1"])
def test_voxels_in_several_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="are read from one file"):
        read_metaimage(meta(tmp_path / "a.mhd", {}, name))


@pytest.mark.parametrize("place", range(5, 80, 9))
def test_a_flipped_bit_in_packed_voxels(tmp_path: Path, place: int) -> None:
    """SimpleITK reads NRRD so without a word."""
    packed = bytearray(gzip.compress(RAW, mtime=0))
    packed[10 + place % (len(packed) - 10)] ^= 16
    with pytest.raises(FileError):
        read_metaimage(nrrd(tmp_path / "a.nrrd", NRRD | {"encoding": "gzip"}, bytes(packed)))
    packed = bytearray(zlib.compress(RAW))
    packed[place % len(packed)] ^= 16
    with pytest.raises(FileError):
        read_metaimage(meta(tmp_path / "a.mha", {"CompressedData": "True"}, voxels=bytes(packed)))


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_voxels_that_are_cut_off(tmp_path: Path, cut: int) -> None:
    for encoding, packed in (("raw", RAW), ("gzip", gzip.compress(RAW)), ("hex", RAW.hex().encode())):
        with pytest.raises(FileError, match="damaged"):
            read_metaimage(nrrd(tmp_path / "a.nrrd", NRRD | {"encoding": encoding}, packed[:-cut]))


def test_more_than_is_declared(tmp_path: Path) -> None:
    """Twenty megabytes of zeros behind 48 bytes of voxels, in twenty kilobytes."""
    excess = bytes(1 << 24) + bytes(1 << 22)
    for path in (
        nrrd(tmp_path / "a.nrrd", NRRD | {"encoding": "gzip"}, gzip.compress(RAW + excess)),
        meta(tmp_path / "a.mha", {"CompressedData": "True"}, voxels=zlib.compress(RAW + excess)),
    ):
        with pytest.raises(FileError, match="more"):
            read_metaimage(path)


@pytest.mark.parametrize("write", [nrrd, meta])
def test_terabytes_in_a_header(tmp_path: Path, write: Callable[..., Path]) -> None:
    fields = NRRD | {"sizes": "32000 32000 3000"} if write is nrrd else {"DimSize": "32000 32000 3000"}
    path = write(tmp_path / ("a.nrrd" if write is nrrd else "a.mha"), fields)
    with pytest.raises(FileError, match=r"more voxels than are read; found 32000x32000x3000; .* max_voxels="):
        read_metaimage(path)
    assert read_metaimage_grid(path)[0].shape == (32000, 32000, 3000)
    with pytest.raises(FileError, match="damaged or cut off"):
        read_metaimage(path, limit=1 << 60)


@pytest.mark.parametrize(
    "fields",
    [
        {"sizes": "4 3"},
        {"sizes": "-4 3 2"},
        {"sizes": "0 3 2"},
        {"sizes": "4 3 two"},
        {"sizes": "1 " * 5000},
        {"type": "block"},
        {"encoding": "zstd"},
        {"byte skip": "1" + "0" * 30},
        {"line skip": "1" + "0" * 30},
        {"space directions": "(1,0,0) (0,1,0)"},
        {"space directions": "(nan,0,0) (0,1,0) (0,0,1)"},
        {"space directions": "(0,0,0) (0,0,0) (0,0,0)"},
        {"space directions": "none none (0,0,1)"},
        {"space origin": "(a,b,c)"},
    ],
)
def test_an_nrrd_header_without_sense(tmp_path: Path, fields: Mapping[str, str]) -> None:
    """Header lines of thousands of characters crash SimpleITK."""
    with pytest.raises(GliosegError) as caught:
        read_metaimage(nrrd(tmp_path / "a.nrrd", {**NRRD, **fields}))
    assert caught.value.path == str(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    "fields",
    [
        {"DimSize": "4 3"},
        {"DimSize": "4 -3 2"},
        {"NDims": "9999999999"},
        {"ElementType": "MET_STRING"},
        {"ElementNumberOfChannels": "-1"},
        {"ElementSpacing": "0 0 0"},
        {"ElementSpacing": "1 " * 4000},
        {"TransformMatrix": "1 0 0"},
        {"Offset": "nan inf 0"},
        {"HeaderSize": "1" + "0" * 30},
        {"CompressedData": "True"},
        {"BinaryData": "False"},
    ],
)
def test_a_metaimage_header_without_sense(tmp_path: Path, fields: Mapping[str, str]) -> None:
    with pytest.raises(GliosegError) as caught:
        read_metaimage(meta(tmp_path / "a.mha", fields))
    assert caught.value.path == str(tmp_path / "a.mha")
