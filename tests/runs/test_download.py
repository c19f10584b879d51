"""Public sets: brought whole from a server on this machine, refused where they are not, checked where a person has."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import glioseg as face
from glioseg.cohorts import catalogue
from glioseg.cohorts.catalogue import PUBLIC_SETS, PublicSet, SetContents, SetFile
from glioseg.cohorts.recognise import read_cohort
from glioseg.errors import FileError, OptionError
from glioseg.io import fetch
from glioseg.io.fetch import Digest
from glioseg.runs.download import RECORD
from tests.cli.command import glioseg
from tests.cohorts.layouts.test_cheng import write as write_cheng
from tests.fakes import brats, datasets, pictures
from tests.fakes.server import Served, serving
from tests.fakes.volumes import labels, noise, save_volume

_MUCH = 10_000_000


def _zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent).as_posix())
    return packed.getvalue()


def _tarred(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, folder.name)
    return packed.getvalue()


class Shop:
    """A server with one set, ``toy``, and the table that has it."""

    def __init__(self, address: str, files: dict[str, Served], patch: pytest.MonkeyPatch) -> None:
        self.address, self.files, self._patch = address, files, patch

    def offer(self, packed: Mapping[str, bytes], contents: SetContents, **changes: object) -> None:
        """Put files there and the set into the table; ``changes`` are of what the table says of the first file."""
        for name, content in packed.items():
            self.files[f"/{name}"] = Served(content)
        first, *others = [
            SetFile(name, f"{self.address}/{name}", len(content), Digest("md5", hashlib.md5(content).hexdigest()))
            for name, content in packed.items()
        ]
        files = (replace(first, **changes), *others)  # type: ignore[arg-type]
        toy = PublicSet("toy", "a toy", "CC0", "nobody", "https://example.org", "open", contents, files, _MUCH)
        self._patch.setattr(catalogue, "PUBLIC_SETS", {"toy": toy, "lgg": PUBLIC_SETS["lgg"]})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    files: dict[str, Served] = {}
    monkeypatch.setattr(fetch, "_WAITS_S", (0.0,))
    with serving(files) as address:
        yield Shop(address, files, monkeypatch)


@pytest.fixture(scope="module")
def msd_tar(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _tarred(datasets.write_msd(tmp_path_factory.mktemp("msd") / "Task01_BrainTumour"))


_MSD = SetContents("msd", 3, 3, 5)  # two labelled cases and one of the test part: three images, two masks


def test_a_tar_comes_whole_and_the_same_call_again_fetches_nothing(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    result = face.download("toy", tmp_path / "data")
    assert result.differences == ()
    assert result.found == {
        "layout": "msd",
        "n_cases": 3,
        "n_patients": 3,
        "n_files": 5,
        "bytes": result.found["bytes"],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [RECORD, "Task01_BrainTumour"]
    assert json.loads((tmp_path / "data" / RECORD).read_text())["licence"] == "CC0"
    again = face.download("toy", tmp_path / "data")
    assert (again.was_there, len(shop.files["/toy.tar"].asked)) == (True, 1)
    assert len(face.read(result.folder).cases) == 3


def test_parts_that_hold_the_same_names_lie_in_folders_of_their_own(shop: Shop, tmp_path: Path) -> None:
    parts = {
        f"{name}.zip": _zipped(pictures.write_classes(tmp_path / name / "c", {kind: 2}))
        for name, kind in (("one", "yes"), ("two", "no"))
    }
    shop.offer({**parts, "notes.mat": b"notes"}, SetContents("classes", 4, None, 4))
    result = face.download("toy", tmp_path / "data")
    assert sorted(path.name for path in result.folder.iterdir()) == [RECORD, "notes.mat", "one", "two"]
    assert result.differences == ()


def test_what_broke_off_goes_on_and_nothing_half_is_seen(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    shop.files["/toy.tar"].breaks = [len(msd_tar) // 2, 0, 0]
    ran = glioseg("download", "toy", "--out", tmp_path / "data")
    assert ran.code == 1
    assert "The same command goes on from where it stopped." in ran.err
    assert not (tmp_path / "data").exists()
    assert glioseg("download", "toy", "--out", tmp_path / "data", "--json", "--quiet").json["differences"] == []
    assert shop.files["/toy.tar"].asked[-1] == f"bytes={len(msd_tar) // 2}-"


def test_a_process_that_was_killed_while_it_unpacked_leaves_what_the_next_one_clears(
    shop: Shop, msd_tar: bytes, tmp_path: Path
) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    half = tmp_path / "data.part" / "unpacked" / "Task01_BrainTumour"
    half.mkdir(parents=True)
    (half / "stale.nii.gz").write_bytes(b"half")
    result = face.download("toy", tmp_path / "data")
    assert not list(result.folder.rglob("stale*"))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_wrong_checksum_is_refused_and_nothing_is_unpacked(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD, digest=Digest("md5", "0" * 32))
    with pytest.raises(FileError, match=r"not the file that was published.*see https://example\.org"):
        face.download("toy", tmp_path / "data")
    assert list(tmp_path.rglob("*.nii.gz")) == []
    assert not (tmp_path / "data").exists()


def test_members_that_lead_out_are_left_out_and_said(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    packed = io.BytesIO(msd_tar)
    with tarfile.open(fileobj=packed, mode="a") as archive:
        for name, kind, target in (("../out.nii", tarfile.REGTYPE, ""), ("link", tarfile.SYMTYPE, "/etc/passwd")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    shop.offer({"toy.tar": packed.getvalue()}, _MSD)
    ran = glioseg("download", "toy", "--out", tmp_path / "data")
    assert ran.code == 0
    assert "is left out: its name leads out of the archive" in ran.err
    assert "is left out: it is a link" in ran.err
    assert not list(tmp_path.rglob("out.nii"))
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_an_archive_that_unpacks_to_too_much_is_refused(shop: Shop, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.nii", bytes(_MUCH * 2 + 1))
    shop.offer({"toy.zip": packed.getvalue()}, _MSD)
    with pytest.raises(FileError, match="would unpack to more than is accepted"):
        face.download("toy", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_checksum_of_a_publishers_record_is_held_to(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    def record(md5: str, name: str = "toy.tar") -> bytes:
        return json.dumps({"files": [{"key": "other", "checksum": "md5:0"}, {"key": name, "checksum": md5}]}).encode()

    shop.offer({"toy.tar": msd_tar}, _MSD, digest=None, record=f"{shop.address}/record")
    shop.files["/record"] = Served(record("md5:" + "0" * 32))
    with pytest.raises(FileError, match="not the file that was published"):
        face.download("toy", tmp_path / "data")
    shop.files["/record"] = Served(record("md5:1", "another.tar"))
    with pytest.raises(FileError, match="the publisher's record does not state a checksum"):
        face.download("toy", tmp_path / "data")
    shop.files["/record"] = Served(record(f"md5:{hashlib.md5(msd_tar).hexdigest()}"))
    assert face.download("toy", tmp_path / "data").differences == ()


def test_what_differs_from_the_table_is_said_and_exits_with_1(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    shop.offer({"toy.tar": msd_tar}, replace(_MSD, n_cases=4, layout="nnunet"))
    ran = glioseg("download", "toy", "--out", tmp_path / "data", "--quiet")
    assert ran.code == 1
    assert "differs: layout: found msd, expected nnunet" in ran.out
    assert "differs: cases: found 3, expected 4" in ran.out


def test_a_disk_without_room_is_refused_before_a_byte_is_fetched(
    shop: Shop, msd_tar: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    used = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: used._replace(free=_MUCH))  # and the archive needs some too
    with pytest.raises(FileError, match=r"too little room on the disk; found 0\.0 GB free.*on another disk with out="):
        face.download("toy", tmp_path / "data")
    assert shop.files["/toy.tar"].asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("put", ["file", "folder"])
def test_other_files_are_never_mixed_with(shop: Shop, msd_tar: bytes, tmp_path: Path, put: str) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    place = tmp_path / "data"
    if put == "folder":
        place.mkdir()
    (place if put == "file" else place / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="the folder holds other files"):
        face.download("toy", place)
    assert shop.files["/toy.tar"].asked == []


def test_an_empty_folder_is_filled(shop: Shop, msd_tar: bytes, tmp_path: Path) -> None:
    shop.offer({"toy.tar": msd_tar}, _MSD)
    (tmp_path / "data").mkdir()
    assert face.download("toy", tmp_path / "data").differences == ()


def test_the_folder_that_one_is_in_is_filled_and_what_broke_off_there_goes_on(
    shop: Shop, msd_tar: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be replaced, as a mounted volume cannot."""
    shop.offer({"toy.tar": msd_tar}, _MSD)
    shop.files["/toy.tar"].breaks = [len(msd_tar) // 2, 0, 0]
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    assert glioseg("download", "toy", "--out", ".").code == 1
    assert glioseg("download", "toy", "--out", ".", "--json", "--quiet").json["differences"] == []
    assert shop.files["/toy.tar"].asked[-1] == f"bytes={len(msd_tar) // 2}-"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [RECORD, "Task01_BrainTumour"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert face.download("toy", ".").was_there


# -- sets that a person fetches ----------------------------------------------------------------------------------------


def test_a_set_that_needs_an_account_is_told_in_steps() -> None:
    ran = glioseg("download", "lgg")
    assert ran.code == 2
    assert "lgg needs an account of yours" in ran.err
    assert "1. Make an account at kaggle.com" in ran.err
    assert "glioseg download lgg --check FOLDER says whether all of it is there" in ran.err
    with pytest.raises(OptionError, match=r'glioseg\.download\("lgg", check=FOLDER\) says whether'):
        face.download("lgg")


def test_a_name_that_is_none_is_answered_with_the_nearest() -> None:
    ran = glioseg("download", "brats2012")
    assert (ran.code, "Did you mean brats202" in ran.err) == (2, True)


def test_the_list_has_terms_and_sizes() -> None:
    listed = glioseg("download", "--list").out
    assert "msd: Medical Segmentation Decathlon" in listed
    assert "fetched without an account, 7.61 GB; CC BY-SA 4.0" in listed
    assert "ibsr" in glioseg("download").out
    as_json = glioseg("download", "--list", "--json").json
    assert as_json["cheng"]["files"][0]["md5"] == "74b949ad33f042e6e103523091cd1428"
    assert as_json["lgg"]["download_bytes"] is None
    assert list(as_json) == [each.name for each in face.public_sets()]


@pytest.mark.parametrize("arguments", [("--list", "lgg"), ("--out", "x"), ("lgg", "--check", "a", "--out", "b")])
def test_options_that_contradict_each_other(arguments: tuple[str, ...]) -> None:
    assert glioseg("download", *arguments).code == 2


def test_the_table_is_sound() -> None:
    """Open sets have files, sizes and something that tells them; the others steps. Addresses are encrypted."""
    for each in PUBLIC_SETS.values():
        assert bool(each.files) == (each.access == "open") == (not each.steps)
        for file in each.files:
            assert file.address.startswith("https://")
            assert file.n_bytes > 0
            assert (file.digest is None) != (file.record is None)
            assert file.digest is None or len(file.digest.value) == 32


# -- each set as it arrives --------------------------------------------------------------------------------------------


def _africa(root: Path) -> Path:
    for group, number in (("95_Glioma", 2), ("95_Glioma", 7), ("51_OtherNeoplasms", 9)):
        case = f"BraTS-SSA-{number:05}-000"
        folder = root / "PKG - BraTS-Africa" / "BraTS-Africa" / group / case
        for seed, modality in enumerate(("t1n", "t1c", "t2w", "t2f")):
            save_volume(folder / f"{case}-{modality}.nii.gz", noise(seed))
        save_volume(folder / f"{case}-seg.nii.gz", labels(1, 2, 3))
    return root


def _ibsr(root: Path) -> Path:
    """IBSR V2.0 as NITRC has it: beside head and tissues a stripped head, a brain mask and two more label maps."""
    for number in (1, 2):
        stem = root / "IBSR_nifti_stripped" / f"IBSR_{number:02}" / f"IBSR_{number:02}"
        for what in ("ana", "ana_strip"):
            save_volume(stem.with_name(f"{stem.name}_{what}.nii.gz"), noise(number))
        for what in ("ana_brainmask", "seg_ana", "segTRI_ana", "segTRI_fill_ana"):
            save_volume(stem.with_name(f"{stem.name}_{what}.nii.gz"), labels(1, 2, 3))
    return root


def _below(name: str, write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """The set in a folder of that name, as its archive unpacks."""

    def below(root: Path) -> Path:
        write(root / name)
        return root

    return below


def _brisc(root: Path) -> Path:
    pictures.write_brisc(root / "brisc2025", {"gl_ax": 2, "me_co": 1, "no_sa": 1})
    return root


def _lgg(root: Path) -> Path:
    """Kaggle's archive has all of it twice."""
    for folder in (root / "kaggle_3m", root / "lgg-mri-segmentation" / "kaggle_3m"):
        pictures.write_lgg(folder, {"TCGA_CS_4941_19960909": (1, 2, 3), "TCGA_DU_5849_19950405": (1, 2, 3)})
    return root


def _cheng(root: Path) -> Path:
    """Its archives, each in a folder of its own, and the folds of the first publication."""
    for part, kinds in (("1-766", {1: (1, "100360"), 2: (2, "100360")}), ("767-1532", {767: (3, "MR01")})):
        write_cheng(root / f"brainTumorDataPublic_{part}", kinds)
    (root / "cvind.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    return root


_ARRIVES: dict[str, tuple[Callable[[Path], Path], SetContents]] = {
    "msd": (_below("Task01_BrainTumour", datasets.write_msd), _MSD),
    "brisc": (_brisc, SetContents("brisc", 4, None, 7)),
    "cheng": (_cheng, SetContents("cheng", 3, 2, 3)),
    "brats-africa": (_africa, SetContents("brats", 3, 3, 15)),
    "brats2021": (_below("RSNA_ASNR_MICCAI_BraTS2021_TrainingData", brats.write_2021), SetContents("brats", 2, 2, 10)),
    "brats2023": (
        _below("ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData", brats.write_2023),
        SetContents("brats", 3, 2, 15),
    ),
    "brats2020": (_below("MICCAI_BraTS2020_TrainingData", brats.write_2020), SetContents("brats", 2, 2, 10)),
    "lgg": (_lgg, SetContents("lgg", 2, 2, 12)),
    "navoneel": (
        lambda root: pictures.write_classes(root / "brain_tumor_dataset", {"yes": 3, "no": 2}),
        SetContents("classes", 5, None, 5),
    ),
    "ibsr": (_ibsr, SetContents("volumes", 2, 2, 4)),
}


@pytest.mark.parametrize("name", [*PUBLIC_SETS])
def test_a_set_is_recognised_as_it_arrives(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, contents = _ARRIVES[name]
    assert contents.layout == PUBLIC_SETS[name].contents.layout
    folder = write(tmp_path / "got")
    (folder / RECORD).write_text("{}")
    miniature = replace(PUBLIC_SETS[name], contents=contents)
    monkeypatch.setattr(catalogue, "PUBLIC_SETS", {name: miniature})
    assert face.download(name, check=folder).differences == ()
    ran = glioseg("download", name, "--check", folder, "--json")
    assert (ran.code, ran.json["layout"]) == (0, contents.layout)


def test_the_tissues_of_ibsr_are_taken_and_the_other_label_maps_left(tmp_path: Path) -> None:
    cohort = read_cohort(_ibsr(tmp_path))
    assert cohort.scheme is not None
    assert cohort.scheme.name == "ibsr"
    taken = [
        (list(case.images), case.images["t1n"].paths[0].name, case.labels.paths[0].name if case.labels else None)
        for case in cohort.cases
    ]
    assert taken == [(["t1n"], f"IBSR_0{n}_ana.nii.gz", f"IBSR_0{n}_segTRI_fill_ana.nii.gz") for n in (1, 2)]


def test_half_a_set_is_told(tmp_path: Path) -> None:
    ran = glioseg("download", "lgg", "--check", _lgg(tmp_path))
    assert ran.code == 1
    assert "differs: patients: found 2, expected 110" in ran.out
