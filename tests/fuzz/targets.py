"""What is read of each kind of file: the same calls as the commands make, on a folder that holds one mutant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from glioseg.cohorts.checks.check import check
from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.labels_file import read_labels_file
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.splits.split_file import load_split
from glioseg.config import read_recipe
from glioseg.core import Case, Cohort, Source, SourceKind, scheme_named
from glioseg.errors import FileError
from glioseg.evaluation.case_table import case_table
from glioseg.io import load_image, read_grid
from glioseg.io.endings import file_kind
from glioseg.io.text import read_text

Target = Callable[[Path], object]


def scan(path: Path) -> None:
    """Look at a scan as inspect does, as an image and as a mask.

    Raises:
        FileError: of every refusal, for the count.
        RuntimeError: a fault that only the last net has caught.
    """
    kind: SourceKind = file_kind(path) or "nifti"
    dataset = "image" if kind == "hdf5" else None
    image = Source((path,), kind, 0 if kind in ("hdf5", "raster") else None, dataset)
    mask = Source((path,), kind, None, "mask" if kind == "hdf5" else None)
    case = Case("case", "case", {"t2f": image}, mask)
    scheme = "binary" if kind == "raster" else "brats2023"
    cohort = Cohort("fuzz", "volumes", "", (case,), ("t2f",), scheme_named(scheme))
    (summary,) = check(cohort, n_workers=1)
    caught = [finding.message for finding in summary.findings if "cannot be looked at" in finding.message]
    if caught:
        raise RuntimeError(caught[0])
    read_grid(image)
    refused = [finding for finding in summary.findings if finding.kind in ("unreadable-file", "file-geometry")]
    if refused:
        raise FileError(refused[0].message)


def dicom(path: Path) -> None:
    """The study in a folder or archive, as predict reads it."""
    for case in read_cohort(path if path.suffix == ".zip" else path.parent, layout="dicom").cases:
        load_image(case)


def dataset_json(path: Path) -> None:
    """The cohort of nnU-Net around its table, and a look at its cases."""
    cohort = read_cohort(path.parent)
    for summary in check(cohort, n_workers=1):
        caught = [finding.message for finding in summary.findings if "cannot be looked at" in finding.message]
        if caught:
            raise RuntimeError(caught[0])


def split_json(path: Path) -> None:
    """A split of a cohort of two patients."""
    cases = tuple(Case(name, name, {"t2f": Source((path,), "nifti")}) for name in ("a", "b"))
    fold = 0 if path.name == "splits_final.json" else None
    load_split(path, Cohort("fuzz", "volumes", "", cases, ("t2f",), None), fold=fold)


def facts(path: Path) -> None:
    """A table of facts beside cases."""
    with_facts_file([Case("a", "a", {"t2f": Source((path,), "nifti")})], list_folder(path.parent))


def log(path: Path) -> None:
    """The log of a training."""
    from glioseg.training.log import read_log

    read_log(path)


def checkpoint(path: Path) -> None:
    """The state of a training, as far as it is taken over."""
    from glioseg.training.checkpoint import load_checkpoint, taking
    from glioseg.training.progress import progress_of

    state = load_checkpoint(path)
    with taking(path):
        values = dict(state["progress"])
        values.pop("loss_sums")
        progress_of(values)


def bundle(path: Path) -> None:
    """A network, as predict loads it."""
    from glioseg.inference.bundle import load_bundle

    load_bundle(path.parent)


def study(path: Path) -> None:
    """A study, with its rows."""
    from glioseg.studies.options import read_study

    read_study(str(path))


TARGETS: Mapping[str, Target] = {
    "scan": scan,
    "dicom": dicom,
    "dataset.json": dataset_json,
    "labels.toml": read_labels_file,
    "recipe": lambda path: read_recipe(str(path)),
    "study": study,
    "split": split_json,
    "cases.csv": lambda path: case_table(read_text(path), str(path)),
    "facts.csv": facts,
    "log": log,
    "checkpoint": checkpoint,
    "bundle": bundle,
}
"""Word of a seed -> what is called with the mutant."""
