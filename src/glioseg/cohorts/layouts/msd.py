"""The Medical Segmentation Decathlon: ``Task01_BrainTumour`` and tasks laid out like it.

``dataset.json`` lists pairs ``imagesTr/BRATS_001.nii.gz``, ``labelsTr/BRATS_001.nii.gz``; images are 4-D, their last
axis the modalities FLAIR, T1w, t1gd, T2w. Its labels are 1 oedema, 2 non-enhancing, 3 enhancing, unlike any BraTS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.layouts.brats_scheme import patient_of
from glioseg.cohorts.layouts.dataset_json import (
    TEST_IMAGES,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    Dataset,
    channel_modalities,
    datasets,
    only_dataset,
    scheme_of,
    where,
)
from glioseg.cohorts.reading.findings import NO_MASKS
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.tables import nearest_facts
from glioseg.core import Case, Cohort, Facts, Finding, LabelScheme, Source
from glioseg.core.modalities import modality_of
from glioseg.errors import LayoutError, OptionError, name_some, plural
from glioseg.io.endings import NIFTI_ENDINGS, file_stem, has_ending

_Entry = tuple[str, Path, Path | None, str]
"""Case id, image, labels (None for a test case), part."""


def match(listing: Listing) -> str | None:
    """A ``dataset.json`` with a list ``training``, beside ``imagesTr``, that is not nnU-Net's."""
    own_datasets = _own_datasets(listing)
    if not own_datasets:
        return None
    tables = name_some(where(dataset, listing) for dataset in own_datasets)
    return f"{tables} lists training pairs, as the Medical Segmentation Decathlon does"


def is_decathlon(dataset: Dataset) -> bool:
    """Whether the images are whole (``CASE.nii.gz``), not one file per channel as nnU-Net has them.

    nnU-Net v1 kept the Decathlon's ``dataset.json``, and its images are named ``CASE_0000.nii.gz``.
    """
    if "channel_names" in dataset.content or not isinstance(dataset.content.get("training"), list):
        return False
    names = {file_stem(dataset.listing.place(path)) for path in dataset.files_in(TRAINING_IMAGES)}
    labelled = {file_stem(dataset.listing.place(path)) for path in dataset.files_in(TRAINING_LABELS)}
    return not names or bool(names & labelled) or not any(f"{name}_0000" in names for name in labelled)


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per image that the table lists and that is there.

    Raises:
        FileError: ``dataset.json`` cannot be read.
        LayoutError: no or several data sets, or none of the images.
        OptionError: names for another number of channels than the table has.
    """
    dataset = only_dataset(_own_datasets(listing), listing)
    modalities = _modalities(dataset, options)
    every = _entries(dataset)
    entries = list({entry[0]: entry for entry in reversed(every)}.values())  # the first of each name
    present = set(dataset.listing.files)
    table, patients, findings = nearest_facts(dataset.listing)
    findings += _absent(dataset, [image for _, image, _, _ in entries if image not in present])
    findings += _of_one_name(dataset, every, entries)
    cases = []
    for name, image, labels, part in entries:
        if image in present:
            if labels is not None and labels not in present:
                findings.append(Finding("warning", "missing-mask", f"there is no {labels.name}", name))
            reference = labels if labels in present else None
            facts = {"part": part, **table.get(name, {})}
            cases.append(_case(name, patients.get(name, patient_of(name)), image, reference, modalities, facts))
    if not cases:
        raise LayoutError("none of the images is there", path=dataset.folder, expected=LAYOUT.needs)
    scheme, scheme_findings = _scheme(dataset, options, cases)
    ordered = tuple(sorted(cases, key=lambda case: natural_key(case.id)))
    reason = match(listing) or ""
    return Cohort(
        dataset.folder.name,
        "msd",
        reason,
        ordered,
        modalities,
        scheme,
        findings=(*findings, *_unlisted(dataset, every), *scheme_findings),
    )


def _own_datasets(listing: Listing) -> list[Dataset]:
    return [dataset for dataset in datasets(listing) if is_decathlon(dataset)]


def _modalities(dataset: Dataset, options: ReadOptions) -> tuple[str, ...]:
    stated = dataset.channels or ("image",)
    if options.modalities is None:
        return channel_modalities(stated)
    names = tuple(modality_of(name) or name for name in options.modalities)
    if len(names) != len(stated) or len(set(names)) != len(names):
        raise OptionError(
            "the names do not fit the channels",
            found=", ".join(names),
            expected=f"{len(stated)} different names, for {', '.join(stated)}",
        )
    return names


def _entries(dataset: Dataset) -> list[_Entry]:
    """What the table lists; entries of another form are left aside (and their images reported as not listed)."""
    entries: list[_Entry] = []
    for entry in _list(dataset.content.get("training")):
        if isinstance(entry, Mapping) and isinstance(entry.get("image"), str):
            image = _path(dataset, entry["image"])
            label = entry.get("label")
            entries.append(
                (file_stem(image), image, _path(dataset, label) if isinstance(label, str) else None, "train")
            )
    for entry in _list(dataset.content.get("test")):
        text = entry.get("image") if isinstance(entry, Mapping) else entry
        if isinstance(text, str):
            entries.append((file_stem(_path(dataset, text)), _path(dataset, text), None, "test"))
    return entries


def _of_one_name(dataset: Dataset, every: Sequence[_Entry], used: Sequence[_Entry]) -> list[Finding]:
    """A warning where two images have one name, as in ``imagesTr`` and ``imagesTs`` they may: the first counts."""
    images = {image for _, image, _, _ in used}
    others = list(dict.fromkeys(image for _, image, _, _ in every if image not in images))
    if not others:
        return []
    names = name_some("/".join(path.parts[-2:]) for path in others)
    message = f"left aside, since another image that {dataset.table.name} lists before has the same name: {names}"
    return [Finding("warning", "repeated-file", message)]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _path(dataset: Dataset, text: str) -> Path:
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    return dataset.listing.at(dataset.folder.joinpath(*parts))


def _case(name: str, patient: str, image: Path, labels: Path | None, modalities: Sequence[str], facts: Facts) -> Case:
    several = len(modalities) > 1
    images = {
        modality: Source((image,), "nifti", channel if several else None) for channel, modality in enumerate(modalities)
    }
    return Case(name, patient, images, Source((labels,), "nifti") if labels is not None else None, facts=facts)


def _scheme(
    dataset: Dataset, options: ReadOptions, cases: Sequence[Case]
) -> tuple[LabelScheme | None, tuple[Finding, ...]]:
    if options.scheme is not None:
        return options.scheme, ()
    if all(case.labels is None for case in cases):
        return None, (NO_MASKS,)
    scheme = scheme_of(dataset.content, dataset.folder.name)
    if scheme is not None:
        return scheme, ()
    message = f"{dataset.table.name} does not state what the labels mean. Say it with `--scheme` or `--labels`"
    return None, (Finding("warning", "unknown-scheme", message),)


def _absent(dataset: Dataset, images: Sequence[Path]) -> list[Finding]:
    if not images:
        return []
    names = name_some(path.name for path in images)
    verb = "is" if len(images) == 1 else "are"
    message = f"{plural(len(images), 'image')} that {dataset.table.name} lists {verb} not there: {names}"
    return [Finding("warning", "missing-file", message)]


def _unlisted(dataset: Dataset, entries: Sequence[_Entry]) -> list[Finding]:
    listed = {image for _, image, _, _ in entries}
    images = [
        path
        for folder in (TRAINING_IMAGES, TEST_IMAGES)
        for path in dataset.files_in(folder)
        if has_ending(path, NIFTI_ENDINGS) and path not in listed
    ]
    if not images:
        return []
    names = name_some(path.name for path in images)
    verb = "is" if len(images) == 1 else "are"
    message = f"{plural(len(images), 'image')} that {dataset.table.name} does not list {verb} left out: {names}"
    return [Finding("warning", "unlisted-file", message)]


LAYOUT = Layout(
    name="msd",
    needs="dataset.json that lists training pairs, with imagesTr/CASE.nii.gz (4-D) and labelsTr/CASE.nii.gz",
    match=match,
    read=read,
)
