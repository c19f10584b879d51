"""Archives that want out, that want too much, and that are what they seem."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from glioseg.errors import FileError
from glioseg.io.dicom.archive import list_archive
from glioseg.io.unpack import Unpacked, unpack

_MUCH = 1 << 30


def _zip(path: Path, members: dict[str, bytes], kinds: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (kinds or {}).get(name, stat.S_IFREG | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def _unpacked(path: Path, *, files: int = 100, n_bytes: int = _MUCH) -> Unpacked:
    return unpack(path, path.parent / "out", files, n_bytes)


def _written(folder: Path) -> dict[str, bytes]:
    out = folder / "out"
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_what_is_sound_is_written(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"p1/t1.nii": b"one", "p1/t2.nii": b"two", "__MACOSX/p1/._t1.nii": b"x"})
    assert _unpacked(archive) == Unpacked(2, 6, ())
    assert _written(tmp_path) == {"p1/t1.nii": b"one", "p1/t2.nii": b"two"}


def test_the_folder_itself_among_the_members_costs_nothing(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"./": b"", "t1.nii": b"one"}, {"./": stat.S_IFDIR | 0o755})
    assert _unpacked(archive) == Unpacked(1, 3, ())
    assert list_archive(archive) == ((archive / "t1.nii",), ())


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("../out.nii", stat.S_IFREG, "its name leads out of the archive"),
        ("/etc/passwd", stat.S_IFREG, "its name leads out of the archive"),
        ("..\\out.nii", stat.S_IFREG, "its name leads out of the archive"),
        ("C:/out.nii", stat.S_IFREG, "its name leads out of the archive"),
        ("a\x1b[31m.nii", stat.S_IFREG, "its name has control characters"),
        ("link.nii", stat.S_IFLNK, "it is a link"),
        ("device.nii", stat.S_IFBLK, "it is no file but a device or the like"),
        ("pipe.nii", stat.S_IFIFO, "it is no file but a device or the like"),
    ],
)
def test_what_is_not_a_file_in_it_is_left_out(tmp_path: Path, name: str, kind: int, why: str) -> None:
    archive = _zip(tmp_path / "a.zip", {"good.nii": b"good", name: b"/etc/passwd"}, {name: kind | 0o777})
    found = _unpacked(archive)
    assert [finding.message for finding in found.findings] == [f"file 2 of the archive is left out: {why}"]
    assert _written(tmp_path) == {"good.nii": b"good"}
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_more_than_is_allowed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "bomb.zip", {f"{n}.nii": bytes(1_000_000) for n in range(10)})
    assert bomb.stat().st_size < 20_000
    with pytest.raises(FileError, match=r"would unpack to more than is accepted; found 0\.0 GB; expected at most 0\.0"):
        _unpacked(bomb, n_bytes=9_999_999)
    with pytest.raises(FileError, match="holds more files than are accepted; found 10; expected at most 9"):
        _unpacked(bomb, files=9)
    assert not (tmp_path / "out").exists()
    assert _unpacked(bomb, n_bytes=10_000_000, files=10).n_bytes == 10_000_000


def _declaring(path: Path, n_bytes: int) -> Path:
    """The sizes in the directory and before the data, which nothing compares with the data itself, changed."""
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, directory + 24, n_bytes)
    struct.pack_into("<I", content, content.index(b"PK\x03\x04") + 22, n_bytes)
    path.write_bytes(content)
    return path


def test_what_holds_more_or_less_than_it_declares_is_damaged(tmp_path: Path) -> None:
    for declared in (5, 500_001):
        archive = _declaring(_zip(tmp_path / f"{declared}.zip", {"a.nii": bytes(500_000)}), declared)
        assert [finding.message for finding in _unpacked(archive).findings] == [
            "file 1 of the archive is left out: it is damaged"
        ]
        assert _written(tmp_path) == {}


def test_more_than_deflate_can_become_is_refused(tmp_path: Path) -> None:
    archive = _declaring(_zip(tmp_path / "a.zip", {"a.nii": b"few"}), 200_000_000)
    with pytest.raises(FileError, match="where it is no larger than that, the archive is damaged"):
        _unpacked(archive)


def test_two_of_one_name(tmp_path: Path) -> None:
    def twice(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"second")

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            twice(archive)
        archive.writestr("a/b", b"below a file")
    messages = [finding.message for finding in _unpacked(tmp_path / "a.zip").findings]
    assert messages == ["2 files of the archive are left out, the first of them file 2: another has its name"]
    assert _written(tmp_path) == {"a": b"first"}


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(FileError, match="damaged or of another format"):
        _unpacked(tmp_path / "a.zip")


# -- tar ---------------------------------------------------------------------------------------------------------------


def _tar(path: Path, members: dict[str, bytes], kinds: dict[str, bytes] | None = None) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.size, info.linkname = (len(content), "") if info.type == tarfile.REGTYPE else (0, "/etc/passwd")
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_is_unpacked_too(tmp_path: Path, ending: str) -> None:
    archive = _tar(tmp_path / f"a.{ending}", {"p1/t1.nii": b"one", "p1/t2.nii": b"two"})
    assert _unpacked(archive) == Unpacked(2, 6, ())
    assert _written(tmp_path) == {"p1/t1.nii": b"one", "p1/t2.nii": b"two"}


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("../out.nii", tarfile.REGTYPE, "its name leads out of the archive"),
        ("/etc/passwd", tarfile.REGTYPE, "its name leads out of the archive"),
        ("a\x1b[31m.nii", tarfile.REGTYPE, "its name has control characters"),
        ("link.nii", tarfile.SYMTYPE, "it is a link"),
        ("hard.nii", tarfile.LNKTYPE, "it is a link"),
        ("device.nii", tarfile.BLKTYPE, "it is no file but a device or the like"),
        ("pipe.nii", tarfile.FIFOTYPE, "it is no file but a device or the like"),
    ],
)
def test_what_is_not_a_file_in_a_tar_is_left_out(tmp_path: Path, name: str, kind: bytes, why: str) -> None:
    archive = _tar(tmp_path / "a.tar", {"good.nii": b"good", name: b"bad"}, {name: kind})
    found = _unpacked(archive)
    assert [finding.message for finding in found.findings] == [f"file 2 of the archive is left out: {why}"]
    assert _written(tmp_path) == {"good.nii": b"good"}


def test_a_tar_with_more_than_is_allowed_is_refused(tmp_path: Path) -> None:
    bomb = _tar(tmp_path / "bomb.tar.gz", {f"{n}.nii": bytes(1000) for n in range(10)})
    with pytest.raises(FileError, match="would unpack to more than is accepted"):
        _unpacked(bomb, n_bytes=9_999)
    with pytest.raises(FileError, match="holds more files than are accepted; found 10; expected at most 9"):
        unpack(bomb, tmp_path / "other", 9, _MUCH)


def test_a_tar_that_was_cut_is_damaged(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar", {"t1.nii": bytes(4000)})
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(FileError, match=r"a\.tar: the file is damaged"):
        _unpacked(archive)
    assert _written(tmp_path) == {}
