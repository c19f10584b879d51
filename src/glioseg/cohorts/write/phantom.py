"""The phantom cohort as files, generated and written patient by patient in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from glioseg.cohorts.parallel import in_order, n_processors
from glioseg.cohorts.phantom import PhantomOptions, PhantomPatient, generate_patient
from glioseg.cohorts.write.case import CohortPlace, LoadedCase, WriteOptions, Written
from glioseg.cohorts.write.cohort import staged, write_tables, writer_named
from glioseg.core import Image
from glioseg.errors import OptionError

TISSUE_LAYOUT = "volumes"
_OPTIONS = WriteOptions(name="glioseg phantom")


@dataclass(frozen=True)
class _Job:
    """What a worker needs to make and write any patient."""

    options: PhantomOptions
    layout: str
    folder: Path
    tissue_folder: Path | None


def write_phantom(
    options: PhantomOptions,
    out: Path,
    layout: str,
    *,
    tissues: Path | None = None,
    n_workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write the phantom cohort; the same options give the same bytes, whatever the number of workers.

    Args:
        options: the cohort.
        out: the folder of the tumour cohort; it must not exist or be empty.
        layout: one of ``WRITTEN_LAYOUTS``.
        tissues: where the T1 images of the same brains go with their CSF, grey and white matter, as ``volumes``; None
            writes none.
        n_workers: processes (spawned); 1 stays in this one, None takes one per processor.
        progress: called with the number of patients written so far.

    Raises:
        OptionError: no layout of that name; folders of which one is the other, or lies in it.
        FileError: a folder holds files already, or cannot be written to.
    """
    writer = writer_named(layout)
    if tissues is not None:
        _require_apart(out.resolve(), tissues.resolve())
    with ExitStack() as stack:
        folder = stack.enter_context(staged(out))
        tissue_folder = stack.enter_context(staged(tissues)) if tissues is not None else None
        job = _Job(options, layout, folder, tissue_folder)
        tumours: list[Written] = []
        brains: list[Written] = []
        for tumour, brain in _written_patients(job, n_workers):
            tumours.append(tumour)
            brains += [brain] if brain is not None else []
            if progress is not None:
                progress(len(tumours))
        write_tables(writer, tumours, folder, _OPTIONS)
        if tissue_folder is not None:
            write_tables(writer_named(TISSUE_LAYOUT), brains, tissue_folder, _OPTIONS)


def _require_apart(out: Path, tissues: Path) -> None:
    if out.is_relative_to(tissues) or tissues.is_relative_to(out):
        raise OptionError(
            "patients and their tissues are two data sets, which cannot lie in each other",
            found=f"{out}, {tissues}",
            remedy="Name another folder for the tissues",
        )


def _written_patients(job: _Job, n_workers: int | None) -> Iterator[tuple[Written, Written | None]]:
    n = job.options.n_patients
    workers = min(n_processors() if n_workers is None else n_workers, n)
    return in_order(partial(_write_patient, job), range(n), n_workers=workers)


def _write_patient(job: _Job, index: int) -> tuple[Written, Written | None]:
    patient = generate_patient(job.options, index)
    place = CohortPlace(index + 1, 0, index + 1)
    case = LoadedCase(patient.id, patient.id, patient.image, patient.labels, patient.facts)
    tumour = writer_named(job.layout).case(case, place, job.folder, _OPTIONS)
    if job.tissue_folder is None:
        return tumour, None
    return tumour, writer_named(TISSUE_LAYOUT).case(tissue_case(patient), place, job.tissue_folder, _OPTIONS)


def tissue_case(patient: PhantomPatient) -> LoadedCase:
    """The T1 image of a phantom patient with its tissues."""
    row = patient.image.modalities.index("t1n")
    image = Image(patient.image.array[row : row + 1], ("t1n",), patient.image.grid)
    return LoadedCase(patient.id, patient.id, image, patient.tissues, patient.facts)
