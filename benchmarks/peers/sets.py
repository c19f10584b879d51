"""The sets: patients as files that all three read, in nnU-Net's layout, divided once.

``SET/train`` has the patients that are trained on and those for validation (told apart by ``SET/splits_final.json``),
``SET/test`` those that are scored. No tool sees the second before it predicts it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import glioseg
from glioseg.core import Cohort

_OWN = (
    "The recipes of glioseg and the phantoms come from the same project and were developed together: an advantage of "
    "glioseg."
)
_SHARES = ("split.train=0.75", "split.val=0.1", "split.test=0.15")


@dataclass(frozen=True)
class Peers:
    """A set on which the tools are compared.

    Args:
        name: of the set.
        about: one phrase for the page.
        recipe: of glioseg, as shipped.
        changes: to the recipe; what is not said is as shipped.
        budget_s: processor seconds of a training.
        marks: shares of the budget after which the test patients are predicted; the last, 1, is what a user gets.
        nnunet_gb: memory of the card that the smaller plan of nnU-Net is for: slices whole, some ten in a batch.
        mirrored: whether nnU-Net predicts with mirrored views, four times the work, on the way too or at the end alone.
        note: who has what advantage on it; for the page.
        write: makes all patients as files in nnU-Net's layout in a folder; takes the folder of scans, too, where
        scans: names an option for it.
    """

    name: str
    about: str
    recipe: str
    changes: Sequence[str]
    budget_s: float
    marks: Sequence[float]
    nnunet_gb: float
    mirrored: bool
    note: str
    write: Callable[..., None]
    scans: str | None = None


def _phantoms(n_patients: int, spacing_mm: float) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        glioseg.phantom(out, patients=n_patients, layout="nnunet", spacing_mm=spacing_mm)

    return write


def _lgg(out: Path, scans: Path) -> None:
    """Patients with all three sequences: nnU-Net has no answer to a missing one. Slices are 5 mm apart in name only."""
    three = [case.id for case in glioseg.read(scans).cases if len(case.images) == 3]
    chosen = out.with_name("chosen")
    chosen.mkdir()
    for name in three:
        (chosen / name).symlink_to((scans / name).resolve())
    glioseg.convert(chosen, out, spacing_mm=(1.0, 1.0, 5.0))
    shutil.rmtree(chosen)


def _brats(out: Path, scans: Path) -> None:
    glioseg.convert(scans, out)


SETS = {
    each.name: each
    for each in (
        Peers(
            "tiny",
            "6 phantoms of 6 mm, to try the scripts",
            "brats-2d",
            ("prepare.size=32",),
            6,
            (0.5, 1),
            1,
            False,
            _OWN,
            _phantoms(6, 6.0),
        ),
        Peers(
            "phantom",
            "phantoms of 3 mm, four modalities",
            "brats-2d",
            ("prepare.size=64",),
            90,
            (0.25, 0.5, 1),
            0.2,
            True,
            _OWN,
            _phantoms(40, 3.0),
        ),
        Peers(
            "lgg",
            "LGG, three sequences",
            "lgg",
            ("predict.threshold=0.5",),
            600,
            (0.25, 0.5, 1),
            2,
            False,
            "The recipe's crop and largest component were chosen on patients of the same publication: an advantage of "
            "glioseg. So was its threshold, which is set back to 0.5 here.",
            _lgg,
            scans="lgg",
        ),
        Peers(
            "brats",
            "29 patients of BraTS, four modalities",
            "brats-2d",
            (),
            300,
            (0.5, 1),
            0.8,
            False,
            "The recipe was developed on patients of the same publication, some of them among these: an advantage of "
            "glioseg.",
            _brats,
            scans="brats",
        ),
    )
}


def ready(peers: Peers, work: Path, scans: Path | None = None) -> Path:
    """The folder of the set, made unless it is there, from the folder of scans."""
    folder = work / peers.name
    if (folder / "splits_final.json").exists():
        return folder
    given = [] if peers.scans is None else [scans]
    if None in given:
        raise SystemExit(f"the set {peers.name} needs --{peers.scans}, its folder of scans")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = folder / "whole"
    peers.write(whole, *given)
    split = glioseg.split(whole, changes=_SHARES)
    cases = _cases_by_part(glioseg.read(whole), split)
    _link(whole, folder / "train", cases["train"] + cases["val"])
    _link(whole, folder / "test", cases["test"])
    fold = {part: cases[part] for part in ("train", "val")}
    (folder / "splits_final.json").write_text(json.dumps([fold], indent=1), encoding="utf-8")
    return folder


def _cases_by_part(cohort: Cohort, split: glioseg.Split) -> dict[str, list[str]]:
    parts = {"train": split.train, "val": split.val, "test": split.test}
    return {part: sorted(c.id for c in cohort.cases if c.patient in names) for part, names in parts.items()}


def _link(whole: Path, part: Path, cases: Sequence[str]) -> None:
    """A data set of some cases of another, whose files are hard links."""
    for folder in ("imagesTr", "labelsTr"):
        (part / folder).mkdir(parents=True)
        for file in sorted((whole / folder).iterdir()):
            name = file.name.removesuffix(".nii.gz")
            if name in cases or name.rpartition("_")[0] in cases:
                os.link(file, part / folder / file.name)
    dataset = json.loads((whole / "dataset.json").read_text(encoding="utf-8"))
    text = json.dumps(dataset | {"numTraining": len(cases)}, indent=1)
    (part / "dataset.json").write_text(text, encoding="utf-8")
