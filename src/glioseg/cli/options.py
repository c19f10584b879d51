"""Options that several commands share, and how their results are printed."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glioseg.console import Reporter, out, printable
from glioseg.errors import GliosegError, LabelError, OptionError, misuse
from glioseg.faces import on_command_line

if TYPE_CHECKING:
    from glioseg.core import Cohort, LabelScheme
    from glioseg.runs.read import Data

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="The data set's folder, as downloaded.")]
# The tables of these names load numpy, which help does without; a test holds the lines to them.
_LAYOUTS = "bids, brats, brats-h5, brisc, cheng, classes, dicom, lgg, msd, nnunet, pairs or volumes"
_SCHEMES = (
    "brats2015, brats2021, brats2023, brats2024, brats2024-ped, brats2024-men-rt, msd, nnunet137, whole-tumour, lgg, "
    "brisc, binary or ibsr"
)
WRITTEN_LAYOUTS = "brats2021, brats2023, brats-h5, lgg, msd, nnunet, pairs, classes or volumes"
Layout = Annotated[
    str | None, typer.Option(metavar="NAME", help=f"How the data set is laid out, if not recognised: {_LAYOUTS}.")
]
Scheme = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What the integers in the masks mean, if the files do not say. A task of BraTS (brats2025-met, …), or: "
        f"{_SCHEMES}.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE=NAME,…",
        help="The same for labels of your own: such as 1=oedema,2=core. A labels.toml beside the data says it too.",
    ),
]
Regions = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=PARTS,…",
        help="What is learnt and scored, as unions of labels or of their values: such as WT=1+2,TC=core. [default: the "
        "scheme's, or each of --labels]",
    ),
]
Modalities = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="What the channels are, in file order, if the files do not say: such as t1n,t1c,t2w,t2f."
    ),
]
MaskPattern = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="Which files are masks, if their names do not say: such as *_roi.nii.gz or drawn/*.png, * being the name "
        "of the picture or case.",
    ),
]
MaxVoxels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Refuse files that declare more voxels than that; of a picture, an eighth. [default: 536870912, 512³ × 4]",
    ),
]
KeepIds = Annotated[
    bool,
    typer.Option(
        "--keep-ids",
        help="Name DICOM cases by their patients' identifiers, and show descriptions and file names as they are.",
    ),
]
NewFolder = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; it must not exist, or be empty.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting, such as train.epochs=20 or train.max_minutes=30; may be repeated. glioseg recipes "
        "--settings lists them.",
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda, cuda:N or mps.")]
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What computes the network: torch, or, on the CPU, onnx or openvino, which are faster; "
        "glioseg doctor --backends measures them.",
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Spread the work over Ray: ray (started here, which takes some 16 s), ray://HOST:PORT or ray://auto, "
        "followed by what each worker may use, such as ray,cpus=4,memory=8,gpus=1. [default: here, one by one]",
    ),
]
Cache = Annotated[Path | None, typer.Option(help="Folder of prepared data. [default: cache, beside the run or bundle]")]
Convention = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Whose rules apply to empty masks and lesions: brats2023, brats2023-men, brats2023-met, nnunet, monai or "
        "metrics-reloaded; docs/evaluation.md explains each. [default: ours]",
    ),
]
Pixels = Annotated[bool, typer.Option("--pixels", help="Measure distances in pixels where millimetres are unknown.")]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="RUN_OR_BUNDLE", help="Average the probabilities of this one too; may be repeated."),
]


@dataclass(frozen=True)
class DataFlags:
    """What a user states about a data set that its files do not; commands that take it use ``takes_data_flags``."""

    layout: str | None = None
    scheme: str | None = None
    modalities: str | None = None
    labels: str | None = None
    regions: str | None = None
    mask_pattern: str | None = None
    max_voxels: int | None = None
    series: Mapping[str, str] = field(default_factory=dict)
    keep_ids: bool = False

    def data(self, path: Path) -> Data:
        """The data set in a folder.

        Raises:
            OptionError: an empty name among the modalities; labels or regions that are not written as they should be,
                or that mean nothing.
        """
        from glioseg.runs.read import Data

        text = self.modalities
        names = None if text is None else tuple(name.strip() for name in text.split(","))
        if names is not None and not all(names):
            raise OptionError("--modalities needs names", found=f'"{text}"', expected="such as t1n,t1c,t2w,t2f")
        data = Data(
            path,
            self.layout,
            self._scheme(),
            names,
            self.mask_pattern,
            series=self.series,
            keep_ids=self.keep_ids,
        )
        return data if self.max_voxels is None else replace(data, max_voxels=self.max_voxels)

    def _scheme(self) -> str | LabelScheme | None:
        """The scheme as named, or as made of labels and regions."""
        from glioseg.core.schemes import own_scheme, scheme_named, with_regions

        regions = None if self.regions is None else _regions(self.regions)
        if self.labels is not None and self.scheme is not None:
            raise OptionError("--labels and --scheme say the same", found=self.scheme, remedy="Leave one of them out")
        try:
            if self.labels is not None:
                return own_scheme(_labels(self.labels), regions, source="--labels")
            if regions is None:
                return self.scheme
            if self.scheme is None:
                raise OptionError("--regions needs to know the labels", remedy="Add --labels or --scheme")
            return with_regions(scheme_named(self.scheme), regions)
        except LabelError as error:
            raise misuse(error) from error

    def read(self, path: Path, reporter: Reporter) -> Cohort:
        """The cohort in a folder; errors as ``data`` and ``glioseg.read``."""
        from glioseg.runs.read import read

        return read(self.data(path), reporter)


NO_FLAGS = DataFlags()


def other_data(data: Path | None, flags: DataFlags) -> Data | None:
    """The data that ``--data`` names; None where a command takes the run's own, which needs no flags.

    Raises:
        OptionError: flags without data, and what ``DataFlags.data`` refuses.
    """
    if data is not None:
        return flags.data(data)
    if flags != NO_FLAGS:
        raise OptionError(
            "--layout, --scheme, --modalities and --mask-pattern say what other data is",
            expected="--data DATA beside them",
            remedy="Leave them out: a run knows its own data",
        )
    return None


def named_folder(option: str, text: str, alone: str | None = None) -> tuple[str, Path]:
    """``NAME=FOLDER``, or ``FOLDER``, which is called ``alone`` or after itself; a folder may have = in its name.

    Raises:
        OptionError: the name or the folder is empty.
    """
    name, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        name, path = alone or Path(text).absolute().name, text
    if not name or not path:
        raise OptionError(f"{option} needs a folder", found=text, expected="FOLDER, or NAME=FOLDER")
    return name, Path(path)


_SCAN_FLAGS = {"layout": Layout, "modalities": Modalities, "mask_pattern": MaskPattern, "max_voxels": MaxVoxels}
_LABEL_FLAGS = {"scheme": Scheme, "labels": Labels, "regions": Regions}


def _labels(text: str) -> dict[str, int]:
    """``1=oedema,2=core`` -> {"oedema": 1, "core": 2}."""
    labels: dict[str, int] = {}
    for part in text.split(","):
        value, _, name = (piece.strip() for piece in part.partition("="))
        if (
            not (value.isascii() and value.isdigit())
            or len(value) > 9
            or not name
            or name in labels
            or int(value) in labels.values()
        ):
            raise OptionError("--labels says what each integer means", found=text, expected="such as 1=oedema,2=core")
        labels[name] = int(value)
    return labels


def _regions(text: str) -> dict[str, list[str | int]]:
    """``WT=1+2,TC=core`` -> {"WT": ["1", "2"], "TC": ["core"]}; the scheme knows numbers from names."""
    regions: dict[str, list[str | int]] = {}
    for part in text.split(","):
        name, _, members = (piece.strip() for piece in part.partition("="))
        if not name or name in regions or not all(member.strip() for member in members.split("+")):
            raise OptionError("--regions says what each is made of", found=text, expected="such as WT=1+2,TC=2")
        regions[name] = [member.strip() for member in members.split("+")]
    return regions


def takes_data_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options of a data set (--layout, --scheme, …) in the place of a command's parameter ``flags``."""
    return _with_flags(command, {**_SCAN_FLAGS, **_LABEL_FLAGS})


def takes_scan_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The same without those of labels: what masks mean that lie beside scans to be predicted is nobody's question."""
    return _with_flags(command, _SCAN_FLAGS)


def _with_flags(command: Callable[..., None], kinds: Mapping[str, Any]) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "flags":
            parameters += [parameter.replace(name=name, default=None, annotation=kind) for name, kind in kinds.items()]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def with_options(**values: Any) -> None:  # noqa: ANN401 - what the command takes
        flags = DataFlags(**{name: values.pop(name) for name in kinds})
        command(**values, flags=flags)

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_options


def numbers(option: str, text: str) -> tuple[int, ...]:
    """``128x128`` -> (128, 128)."""
    try:
        return tuple(int(number) for number in text.split("x"))
    except ValueError as error:
        words = f"{option} needs whole numbers with x between them"
        raise OptionError(words, found=text, expected=f"such as {option} 128x128") from error


class StoppedError(Exception):
    """A signal stopped the work, which was saved; everything has been said.

    Args:
        code: that the process ends with.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def end_as_stopped(reason: str | None) -> None:
    """End with the exit code of a process that a signal stopped: 130 for Ctrl-C, 143 for SIGTERM; None does nothing."""
    from glioseg.training.stopping import EXIT_CODES

    if reason is not None:
        raise StoppedError(EXIT_CODES.get(reason, EXIT_CODES["Ctrl-C"]))


def end_with(left_out: Mapping[str, GliosegError]) -> None:
    """Say which cases were left out and why, whatever else is shown; exit with 1 where there are any."""
    for case, error in left_out.items():
        said = " ".join(on_command_line(error.text).split())
        sys.stderr.write(printable(f"glioseg: case {case} was left out: {said}\n"))
    if left_out:
        raise typer.Exit(1)


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """One JSON object on stdout."""
    out(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))
