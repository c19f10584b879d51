"""Miniatures of BraTS as each year published it; the writers know 2021 and 2023, renaming makes the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from glioseg.cohorts.write import write_cohort
from glioseg.core import scheme_named
from glioseg.core.labels import convert_labels
from glioseg.io.metaimage import write_metaimage
from tests.fakes.cases import toy_case, toy_cases

_VSD_MODALITIES = (("MR_Flair", "t2f"), ("MR_T1", "t1n"), ("MR_T1c", "t1c"), ("MR_T2", "t2w"))


def write_2021(root: Path, n: int = 2) -> Path:
    write_cohort(toy_cases(n), root, "brats2021")
    return root


def write_2020(root: Path) -> Path:
    """Uncompressed; the mask of patient 355 has the name that it was published with."""
    folder = _renamed(root, ["BraTS20_Training_001", "BraTS20_Training_355"])
    for path in sorted(folder.rglob("*.nii.gz")):
        nibabel.load(path).to_filename(path.with_name(path.name.removesuffix(".gz")))
        path.unlink()
    odd = folder / "BraTS20_Training_355"
    (odd / "BraTS20_Training_355_seg.nii").rename(odd / "W39_1998.09.19_Segm.nii")
    (folder / "survival_info.csv").write_text(
        "Brats20ID,Age,Survival_days,Extent_of_Resection\n"
        "BraTS20_Training_001,60.463,289,GTR\n"
        "BraTS20_Training_355,52.5,ALIVE (361 days later),NA\n"
    )
    (folder / "name_mapping.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,"
        "BraTS_2020_subject_ID\n"
        "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,NA,BraTS19_CBICA_AAB_1,BraTS20_Training_001\n"
        "LGG,NA,NA,TCGA-DU-6542,BraTS19_TCIA09_255_1,BraTS20_Training_355\n"
    )
    return root


def write_2018(root: Path) -> Path:
    folder = _renamed(root, ["Brats18_CBICA_AAB_1", "Brats18_TCIA09_255_1"])
    for grade, name in (("HGG", "Brats18_CBICA_AAB_1"), ("LGG", "Brats18_TCIA09_255_1")):
        (folder / grade).mkdir()
        (folder / name).rename(folder / grade / name)
    (folder / "survival_data.csv").write_text(
        "BraTS18ID,Age,Survival,ResectionStatus\nBrats18_CBICA_AAB_1,60.46,289,GTR\n"
    )
    return root


def write_2015(root: Path, names: Sequence[str] = ("HGG/brats_2013_pat0001_1", "LGG/brats_tcia_pat101_0001")) -> Path:
    """MetaImages of the Virtual Skeleton Database, each in a folder of its own."""
    for index, name in enumerate(names):
        case = toy_case(index, scheme="brats2015", values=(1, 2, 3, 4))
        assert case.labels is not None
        volumes = {f"VSD.Brain.XX.O.{word}.{54512 + i}": array for i, (word, array) in enumerate(_vsd_arrays(index))}
        volumes["VSD.Brain_3more.XX.O.OT.54517"] = case.labels.array
        for stem, array in volumes.items():
            write_metaimage(root / "BRATS2015_Training" / name / stem / f"{stem}.mha", array, case.image.grid)
    return root


def write_2023(root: Path) -> Path:
    """Two time points of one patient, one of another."""
    cases = [toy_case(1, patient="a"), toy_case(2, patient="a"), toy_case(3, patient="b")]
    write_cohort(cases, root, "brats2023")
    return root


def write_2024(root: Path) -> Path:
    """Post-treatment: time points count from 100, label 4 is the resection cavity."""
    write_2023(root)
    for old in sorted(path for path in root.iterdir() if path.is_dir()):
        new = old.name.replace("-00", "-10", 1) if old.name.count("-00") == 1 else f"{old.name[:-3]}1{old.name[-2:]}"
        rename_case(old, new)
    return root


def write_whole_tumour(root: Path, names: Sequence[str] = ("Brats18_CBICA_AAB_1", "Brats18_CBICA_ABE_1")) -> Path:
    """FLAIR alone with a mask of the whole tumour."""
    for name in names:
        write_cohort([toy_case()], root / "one", "brats2021")
        (root / "one" / "BraTS2021_00001").rename(root / name)
        _remove(root / "one")
        rename_case(root / name, name, old="BraTS2021_00001")
        for word in ("t1", "t1ce", "t2"):
            (root / name / f"{name}_{word}.nii.gz").unlink()
        set_labels(root / name / f"{name}_seg.nii.gz", [1, 1, 1])
    return root


def rename_case(folder: Path, new: str, *, old: str | None = None) -> Path:
    """Another id in the names of a case's folder and files."""
    old = old or folder.name
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace(old, new)))
    return folder.rename(folder.with_name(new))


def set_labels(path: Path, values: Sequence[int]) -> None:
    """Other labels in the same voxels of a mask."""
    image = nibabel.load(path)
    array = np.zeros(image.shape, dtype=np.uint8)
    array[1 : 1 + len(values), 2, 1] = values
    nibabel.Nifti1Image(array, image.affine).to_filename(path)


def labels_of_2021(index: int) -> np.ndarray:
    """What the mask of ``write_2021`` must hold."""
    case = toy_case(index)
    assert case.labels is not None
    return convert_labels(case.labels.array, case.labels.scheme, scheme_named("brats2021"))


def _renamed(root: Path, names: Sequence[str]) -> Path:
    folder = root / "MICCAI_BraTS_TrainingData"
    write_2021(folder, len(names))
    for table in folder.glob("*.csv"):
        table.unlink()
    for old, new in zip(sorted(path for path in folder.iterdir()), names, strict=True):
        rename_case(old, new)
    return folder


def _vsd_arrays(index: int) -> list[tuple[str, np.ndarray]]:
    image = toy_case(index).image
    return [(word, image.array[image.modalities.index(modality)]) for word, modality in _VSD_MODALITIES]


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
