"""A run's network in another format, for programs that know nothing of glioseg."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from torch import nn

from glioseg import __version__
from glioseg.console import QUIET, Reporter
from glioseg.errors import OptionError
from glioseg.inference.bundle import DESCRIPTION, WEIGHTS, Bundle, BundleInfo, halved_bundle, load_bundle
from glioseg.inference.example import beyond_the_example, components_text, example_text, painting
from glioseg.inference.export import ExportRequest, ExportResult, export_onnx, probabilities_on_noise
from glioseg.inference.export_monai import export_monai
from glioseg.inference.export_others import export_openvino, export_torch
from glioseg.inference.shipped import is_model_name
from glioseg.io.files import require_folder, require_place, write_text
from glioseg.runs.card import WrittenCard, read_card, with_digest
from glioseg.runs.export_int8 import export_int8
from glioseg.runs.model_card import write_card
from glioseg.runs.run_folder import home_of
from glioseg.tasks.choose import task_named

_WRITERS: Mapping[str, Callable[[ExportRequest, Path], ExportResult]] = MappingProxyType(
    {"onnx": export_onnx, "openvino": export_openvino, "torch": export_torch}
)
FORMATS = (*_WRITERS, "openvino-int8", "monai", "bundle")
FILES = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "openvino-int8": "model-int8.xml",
    "torch": "model.pt2",
    "monai": "monai-bundle",
    "bundle": "bundle-float16",
}
_ENDING_IS_READ = ("openvino", "openvino-int8", "torch")
"""Formats whose readers go by the ending of a name: no other will do."""
_FOLDERS = ("monai", "bundle")
"""Formats that are folders; of all others the name is that of a file."""
EXAMPLE = "predict_{}.py"
COMPONENTS = "components.py"
_CHECKED_ON = 64


def export(
    run: Path,
    out: Path | None = None,
    *,
    form: str = "onnx",
    card: Path | None = None,
    size: Sequence[int] | None = None,
    network: nn.Module | None = None,
    reporter: Reporter = QUIET,
) -> ExportResult:
    """Write the network of a run or bundle in another form, checked against the network itself.

    Args:
        run: a run folder, a bundle or ``model:NAME``.
        out: the file, or the folder of a bundle (of glioseg's or of MONAI's); None for the name in ``FILES``, in the
            folder.
        form: ``onnx``, one file, and beside it a short program that draws masks with it, where that can; ``openvino``,
            an .xml file and a .bin beside it; ``openvino-int8``, the same in 8 bits, of a run (see ``export_int8``);
            ``torch``, a .pt2 file; ``monai``, a folder that ``monai.bundle run``
            runs; ``bundle``, whose weights are float16.
        card: the TOML file of a model card for a bundle (see ``read_card``).
        size: of the images, for a network that takes one size only; None takes that of the recipe.
        network: the module, where it was one of your own.
        reporter: shows progress.

    Raises:
        OptionError: an unknown format, a name that ends as another format's files do, a library is missing, or a size
            that does not fit.
        ExportError: the network cannot be exported.
        FileError: no bundle, or the file cannot be written.
    """
    if form not in FORMATS:
        raise OptionError(f"there is no export to {form}", expected=f"one of {', '.join(FORMATS)}")
    if card is not None and form != "bundle":
        raise OptionError("a model card belongs to a bundle", found=form, remedy="Add `--format bundle`")
    if size is not None and form == "bundle":
        raise OptionError("a bundle takes no size: `--size` is of files for other programs", remedy="Leave it out")
    place = out or (home_of(run) if is_model_name(run) else run) / FILES[form]
    _require_ending(place, form)
    (require_folder if form in _FOLDERS else require_place)(place)
    bundle = load_bundle(run, network)
    info = bundle.info
    dims = info.dims
    if size is not None and (len(size) != dims or min(size) < 1):
        raise OptionError(
            "the size does not fit the network", found="x".join(map(str, size)), expected=f"{dims} numbers"
        )
    if form == "bundle":
        return _export_bundle(bundle, place, None if card is None else read_card(card), network)
    request = ExportRequest(
        bundle.model,
        info.slices.n_channels(len(info.modalities)),
        size or info.recipe_size,
        dims,
        task_named(info.task).activation(info),
        metadata_of(info),
    )
    if form == "openvino-int8":
        return export_int8(run, request, place, bundle, network, reporter)
    with reporter.progress("Exporting") as step:
        write = partial(export_monai, info=info) if form == "monai" else _WRITERS[form]
        result = write(request, place)
        step(1, 1)
    return _with_example(result, info) if form == "onnx" else result


def _require_ending(place: Path, form: str) -> None:
    """Refuse a name by which other programs would not know the file, or take it for one of another format."""
    ending = place.suffix if form in _ENDING_IS_READ else place.suffix.lower()
    so_ending = [other for other, name in FILES.items() if ending and Path(name).suffix == ending]
    if form in _ENDING_IS_READ and not so_ending:
        raise OptionError(
            f"files of {form} end in {Path(FILES[form]).suffix}",
            found=place.name,
            expected=f"a name such as {FILES[form]}",
            remedy="Name such a file with `--out`",
        )
    if so_ending and form not in so_ending:
        raise OptionError(
            f"the name ends as files of {' or '.join(so_ending)} do, not of {form}",
            found=place.name,
            expected=f"a name such as {FILES[form]}",
            remedy=f"Add `--format {so_ending[0]}`, or give it another name",
        )


def _with_example(result: ExportResult, info: BundleInfo) -> ExportResult:
    """Write the program beside an ONNX file; where it would not draw the same masks, take an older one away."""
    path = result.path.with_name(EXAMPLE.format(result.path.stem))
    beyond = beyond_the_example(info)
    if beyond:
        path.unlink(missing_ok=True)
        return replace(result, notes=(f"no program beside it: it does not do {beyond}",))
    write_text(path, example_text())
    write_text(path.with_name(COMPONENTS), components_text())
    return replace(result, notes=(f"{path} draws masks with it: numpy, nibabel and onnxruntime are all it needs",))


def _export_bundle(
    bundle: Bundle, folder: Path, written: WrittenCard | None, network: nn.Module | None
) -> ExportResult:
    info = bundle.info
    size = info.recipe_size or (_CHECKED_ON,) * info.dims
    shape = (2, info.slices.n_channels(len(info.modalities)), *size)
    activation = task_named(info.task).activation(info)
    before = probabilities_on_noise(bundle.model, activation, shape)
    card, skull = (None, None) if written is None else (with_digest(written.card, info), written.skull)
    write_card(folder, halved_bundle(bundle, folder, card, skull=skull))
    after = probabilities_on_noise(load_bundle(folder, network).model, activation, shape)
    n_bytes = sum((folder / name).stat().st_size for name in (WEIGHTS, DESCRIPTION))
    return ExportResult(folder, n_bytes, None, float(np.abs(after - before).max()), (shape,))


def export_text(result: ExportResult) -> str:
    """What was written and how it was checked, for people."""
    takes = "any size" if result.step == 1 else f"multiples of {result.step}"
    takes = takes if result.size is None else f"{'×'.join(map(str, result.size))} only"
    shapes = ", ".join("×".join(map(str, shape)) for shape in result.checked)
    checker = "read back and checked" if result.path.is_dir() else f"checked by {result.checker}"
    on_random = f"{checker} on random images ({shapes}): probabilities differ by at most {result.difference:.1e}"
    lines = [
        f"{result.path}: {result.n_bytes / 1e6:.1f} MB, images of {takes}",
        *([on_random] if result.checked else ()),
        *result.notes,
    ]
    return "\n  ".join(lines)


def metadata_of(info: BundleInfo) -> dict[str, str]:
    """What the file says of itself: name -> text, JSON where it is a list or more."""
    return {
        "name": info.name,
        "model_id": info.model_id,
        "network": info.model.kind,
        "use": info.use,
        "glioseg": __version__,
        "modalities": json.dumps(info.modalities),
        "slices_shown": str(info.slices.n_shown),
        "channels": "for each slice shown, from below to above, each modality in order",
        "regions": json.dumps(info.regions),
        "activation": info.activation,
        "thresholds": json.dumps({name: info.predict.threshold_of(name) for name in info.regions}),
        "classes": json.dumps(info.classes),
        "painting": painting(info),
        "bundle": info.model_dump_json(),
    }
