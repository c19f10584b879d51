"""Public sets of scans: where each is to be had, on what terms, and what is in it once it is there. A closed table.

Addresses, sizes and checksums are those that the publishers state: figshare and Zenodo in their records, the Medical
Segmentation Decathlon's through MONAI, which mirrors it (``monai.apps.datasets``). Where a set needs an account, or
comes by a program of its own, the table says the steps; what was got is told by what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from glioseg.errors import OptionError, suggestion
from glioseg.io.fetch import Digest

Access = Literal["open", "account", "program"]
"""``open``: by an address alone; ``account``: after signing in; ``program``: with one that its publisher prescribes."""


@dataclass(frozen=True)
class SetFile:
    """A file of a set, as its publisher offers it.

    Args:
        name: of the file; archives, by their content, are unpacked.
        address: where it lies.
        n_bytes: its size.
        digest: its checksum; None where it stands in ``record`` alone.
        record: the address of the repository's JSON about it, which states the checksum.
    """

    name: str
    address: str
    n_bytes: int
    digest: Digest | None = None
    record: str | None = None


@dataclass(frozen=True)
class SetContents:
    """What is in a set once it is there; None where its publisher does not say.

    Args:
        layout: the reader that recognises it.
        n_cases: cases, and
        n_patients: patients, as that reader counts them.
        n_files: files of scans and masks, each once.
    """

    layout: str
    n_cases: int
    n_patients: int | None
    n_files: int


@dataclass(frozen=True)
class PublicSet:
    """A public set of scans.

    Args:
        name: by which it is asked for.
        about: what it is, in a line.
        licence: on what terms.
        cite: who is to be cited.
        page: where a person finds it.
        access: how it is to be had.
        contents: what is in it.
        files: of an open set, what is fetched.
        unpacked_bytes: of an open set, how much lies on the disk once it is unpacked, about.
        steps: of the others, what to do, in order.
    """

    name: str
    about: str
    licence: str
    cite: str
    page: str
    access: Access
    contents: SetContents
    files: tuple[SetFile, ...] = ()
    unpacked_bytes: int = 0
    steps: tuple[str, ...] = ()

    @property
    def n_bytes(self) -> int | None:
        """How much is fetched; None where it is not fetched here."""
        return sum(file.n_bytes for file in self.files) or None

    @property
    def checked_by(self) -> str:
        """What tells whether it came as it was published, in words."""
        if not self.files:
            return "no checksum is published: cases, patients and files are counted"
        if all(file.digest is not None for file in self.files):
            return f"{', '.join(sorted({file.digest.algorithm for file in self.files if file.digest}))} of each archive"
        return "size, and the checksum that the publisher's record states when it is fetched"

    def to_json(self) -> dict[str, Any]:
        """As ``glioseg download --list --json`` has it."""
        return {
            "about": self.about,
            "licence": self.licence,
            "cite": self.cite,
            "page": self.page,
            "access": self.access,
            "download_bytes": self.n_bytes,
            "unpacked_bytes": self.unpacked_bytes or None,
            "checked_by": self.checked_by,
            "layout": self.contents.layout,
            "n_cases": self.contents.n_cases,
            "n_patients": self.contents.n_patients,
            "n_files": self.contents.n_files,
            "files": [
                {"name": file.name, "address": file.address, "bytes": file.n_bytes, **_digest_json(file.digest)}
                for file in self.files
            ],
            "steps": list(self.steps),
        }


def _digest_json(digest: Digest | None) -> dict[str, str]:
    return {} if digest is None else {digest.algorithm: digest.value}


def public_set(name: str) -> PublicSet:
    """The set of that name; an OptionError lists the known ones."""
    if name in PUBLIC_SETS:
        return PUBLIC_SETS[name]
    raise OptionError(
        f"there is no public set {name}",
        expected=f"one of {', '.join(PUBLIC_SETS)}",
        remedy=suggestion(name, PUBLIC_SETS),
    )


_FIGSHARE = "https://ndownloader.figshare.com/files"
_SYNAPSE = (
    "Make an account at synapse.org, open {page}, and ask there for access; it is given by hand",
    "Take the training data, {archive}, from Files in the browser or with the program synapse, and unpack it",
)
_KAGGLE = (
    "Make an account at kaggle.com and sign in",
    "Open {page} and take it with Download, or with the program kaggle: kaggle datasets download {name}",
    "Unpack the archive",
)


def _synapse(page: str, archive: str) -> tuple[str, ...]:
    return tuple(step.format(page=page, archive=archive) for step in _SYNAPSE)


def _kaggle(name: str) -> tuple[str, ...]:
    return tuple(step.format(page=_kaggle_page(name), name=name) for step in _KAGGLE)


def _kaggle_page(name: str) -> str:
    return f"https://www.kaggle.com/datasets/{name}"


def _cheng_part(first: int, last: int, number: int, n_bytes: int, md5: str) -> SetFile:
    name = f"brainTumorDataPublic_{first}-{last}.zip"
    return SetFile(name, f"{_FIGSHARE}/{number}", n_bytes, Digest("md5", md5))


_BRATS_TERMS = "for research and teaching, not to be passed on; the challenge's own terms"
_LGG, _NAVONEEL, _BRATS2020 = (
    "mateuszbuda/lgg-mri-segmentation",
    "navoneel/brain-mri-images-for-brain-tumor-detection",
    "awsaf49/brats20-dataset-training-validation",
)
_SYN2021, _SYN2023 = "https://www.synapse.org/Synapse:syn25829067", "https://www.synapse.org/Synapse:syn51156910"
_TCIA_AFRICA = "https://www.cancerimagingarchive.net/collection/brats-africa/"

_SETS = (
    PublicSet(
        "msd",
        "Medical Segmentation Decathlon, Task01_BrainTumour: four modalities of 750 gliomas, 484 with masks",
        "CC BY-SA 4.0",
        "Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9",
        "http://medicaldecathlon.com/",
        "open",
        SetContents("msd", 750, 750, 1234),
        (
            SetFile(
                "Task01_BrainTumour.tar",
                "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task01_BrainTumour.tar",
                7_608_266_240,
                Digest("md5", "240a19d752f0d9e9101544901065d872"),
            ),
        ),
        7_610_000_000,
    ),
    PublicSet(
        "brisc",
        "BRISC 2025: 6,000 T1c slices in three planes, three kinds of tumour with outlines, and none",
        "CC BY 4.0",
        "Fateh et al. 2025, arXiv:2506.14318",
        "https://zenodo.org/records/17524350",
        "open",
        SetContents("brisc", 6000, None, 10_793),
        (
            SetFile(
                "brisc2025.zip",
                "https://zenodo.org/records/17524350/files/brisc2025.zip?download=1",
                260_175_408,
                record="https://zenodo.org/api/records/17524350",
            ),
        ),
        300_000_000,
    ),
    PublicSet(
        "cheng",
        "Cheng's brain tumour data set: 3,064 T1c slices of 233 patients, three kinds of tumour with outlines",
        "CC BY 4.0",
        "Cheng 2017, doi:10.6084/m9.figshare.1512427",
        "https://figshare.com/articles/dataset/brain_tumor_dataset/1512427",
        "open",
        SetContents("cheng", 3064, 233, 3064),
        (
            _cheng_part(1, 766, 3381290, 214_401_279, "74b949ad33f042e6e103523091cd1428"),
            _cheng_part(767, 1532, 3381296, 217_848_429, "7e8a875500d2c8a346f270538e29890e"),
            _cheng_part(1533, 2298, 3381293, 215_563_856, "8227bf6080cb71f15a88be8d25c79ae7"),
            _cheng_part(2299, 3064, 3381302, 231_679_762, "b378a80d6174e5317d59eb28430c6652"),
            SetFile("cvind.mat", f"{_FIGSHARE}/7005344", 5736, Digest("md5", "5ea82eb3212c9fcb84290ccf0beb486d")),
        ),
        900_000_000,
    ),
    PublicSet(
        "brats-africa",
        "BraTS-Africa: four modalities of 146 patients from Nigeria, 95 gliomas and 51 other tumours, with masks",
        "CC BY 4.0",
        "Adewole et al. 2024, doi:10.7937/v8h6-8x67",
        _TCIA_AFRICA,
        "program",
        SetContents("brats", 146, 146, 730),
        steps=(
            "No account is needed, but the archive (TCIA) hands it out by IBM Aspera alone: install Aspera Connect, or "
            "the program ascp-cli",
            f"Open {_TCIA_AFRICA}, choose Download under Data Access, and unpack the archive PKG - BraTS-Africa",
        ),
    ),
    PublicSet(
        "brats2021",
        "BraTS 2021, training data: four modalities of 1,251 gliomas with masks, labels 1, 2 and 4",
        _BRATS_TERMS,
        "Baid et al. 2021, arXiv:2107.02314; Menze et al. 2015; Bakas et al. 2017",
        _SYN2021,
        "account",
        SetContents("brats", 1251, 1251, 6255),
        steps=_synapse(_SYN2021, "RSNA_ASNR_MICCAI_BraTS2021_TrainingData"),
    ),
    PublicSet(
        "brats2023",
        "BraTS 2023, adult glioma, training data: the same kind, labels 1, 2 and 3, several time points of some",
        _BRATS_TERMS,
        "Baid et al. 2021, arXiv:2107.02314; Menze et al. 2015; Bakas et al. 2017",
        _SYN2023,
        "account",
        SetContents("brats", 1251, None, 6255),
        steps=_synapse(_SYN2023, "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData"),
    ),
    PublicSet(
        "brats2020",
        "BraTS 2020, training data: four modalities of 369 gliomas with masks, ages and survival",
        _BRATS_TERMS,
        "Menze et al. 2015; Bakas et al. 2017; Bakas et al. 2018, arXiv:1811.02629",
        _kaggle_page(_BRATS2020),
        "account",
        SetContents("brats", 369, 369, 1845),
        steps=(
            *_kaggle(_BRATS2020),
            "Name the folder MICCAI_BraTS2020_TrainingData; that of the validation has no masks",
        ),
    ),
    PublicSet(
        "lgg",
        "LGG MRI Segmentation (kaggle_3m): 3,929 slices of 110 gliomas of low grade, FLAIR abnormality outlined",
        "CC BY-NC-SA 4.0",
        "Buda et al. 2019, doi:10.1016/j.compbiomed.2019.05.002; Mazurowski et al. 2017",
        _kaggle_page(_LGG),
        "account",
        SetContents("lgg", 110, 110, 7858),
        steps=_kaggle(_LGG),
    ),
    PublicSet(
        "navoneel",
        "Brain MRI Images for Brain Tumor Detection: 155 pictures with a tumour, 98 without; holds copies",
        "not stated",
        "Chakrabarty 2019, on Kaggle",
        _kaggle_page(_NAVONEEL),
        "account",
        SetContents("classes", 253, None, 253),
        steps=(*_kaggle(_NAVONEEL), "Name one of the folders that hold yes and no; the archive has them twice"),
    ),
    PublicSet(
        "ibsr",
        "IBSR18: T1 of 18 heads with CSF, grey and white matter",
        "MGH CMA, for research",
        "The Internet Brain Segmentation Repository, Center for Morphometric Analysis, Massachusetts General Hospital",
        "https://www.nitrc.org/projects/ibsr",
        "account",
        SetContents("volumes", 18, 18, 36),
        steps=(
            "Make an account at nitrc.org, open https://www.nitrc.org/projects/ibsr and accept its terms",
            "Take IBSR_V2.0 in NIfTI under Downloads, and unpack it",
        ),
    ),
)
PUBLIC_SETS: Mapping[str, PublicSet] = MappingProxyType({each.name: each for each in _SETS})
"""All public sets, those first that are fetched without an account."""
