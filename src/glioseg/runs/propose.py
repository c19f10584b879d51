"""Which shipped network fits scans for which none was named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.inference.bundle import DESCRIPTION, BundleInfo, read_info
from glioseg.inference.shipped import PREFIX, ShippedModel, installed_models, is_model_name
from glioseg.runs import run_folder
from glioseg.runs.read import Data, holds_cases, read
from glioseg.tasks.members import called_as, fitted, single_case, source_of

_PICTURES = ("grey",)


@dataclass(frozen=True)
class ModelProposal:
    """A shipped network, and the scans that it fits, folders as the cohorts that were read for it."""

    model: ShippedModel
    inputs: tuple[Data | Cohort, ...]


def is_network(path: Path) -> bool:
    """Whether a path names a network (a run, a bundle, ``model:NAME``) rather than scans."""
    inside = (run_folder.RECIPE, DESCRIPTION, f"{run_folder.BUNDLE}/{DESCRIPTION}")
    return is_model_name(path) or any((path / name).exists() for name in inside)


def proposed_model(inputs: Sequence[Data], files: Mapping[str, Path], reporter: Reporter = QUIET) -> ModelProposal:
    """The first shipped network that is installed and that all cases have the modalities of.

    Args:
        inputs: folders and files of scans.
        files: modality -> file, of a case that is given file by file.
        reporter: shows progress.

    Raises:
        FileError: no such file or folder.
        LayoutError: a folder that is not recognised.
        OptionError: no shipped network fits.
    """
    for data in inputs:
        if not data.path.exists():
            raise FileError(
                "there is no such run, bundle, file or folder",
                path=data.path,
                remedy="Check the path for a typing error; `glioseg models` lists the shipped networks",
            )
    scans = tuple(read(data, reporter) if holds_cases(data.path) else data for data in inputs)
    models = installed_models()
    for model in models:
        info = read_info(model.folder)
        try:
            cases = list(_cases(scans, files, info))
        except GliosegError:  # a single file that cannot show what the network needs
            continue
        if all(fits(case, info) for case in cases):
            return ModelProposal(model, scans)
    shown = {_words(case) for given in scans if isinstance(given, Cohort) for case in given.cases}
    raise OptionError(
        "no network was named, and no shipped one fits these scans",
        found="; ".join(sorted(shown)[:3]) or "single files",
        expected="; ".join(
            f"{', '.join(read_info(model.folder).modalities)} for {PREFIX}{model.name}" for model in models
        ),
        remedy="Name a run or bundle of your own first: `glioseg predict RUN_OR_BUNDLE INPUT`",
    )


def _cases(scans: Sequence[Data | Cohort], files: Mapping[str, Path], info: BundleInfo) -> Iterator[Case]:
    if files:
        sources = {name: source_of(path, None) for name, path in files.items()}
        yield Case("case", "case", called_as(sources, info.modalities))
    for given in scans:
        if isinstance(given, Cohort):
            yield from (fitted(case, info.modalities) for case in given.cases)
        else:
            yield single_case(given.path, info.modalities, given.modalities)


def fits(case: Case, info: BundleInfo) -> bool:
    """Whether a case, ``fitted`` to a network, has the modalities that it needs."""
    if info.modalities == _PICTURES and next(iter(case.images.values())).kind != "raster":
        return False  # slices of a volume are no pictures, whatever they show
    return any(set(names) <= set(case.images) for names in (info.modalities, *info.modality_sets))


def _words(case: Case) -> str:
    return ", ".join(case.images)
