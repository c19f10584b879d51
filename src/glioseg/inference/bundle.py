"""A bundle: the two files that a prediction needs, and nothing of the data it was trained on.

``model.safetensors`` holds the weights, ``bundle.json`` everything else in plain words. Nothing is pickled. One digest,
the model id, covers all that decides a mask, weights included, and is checked whenever a bundle is loaded: one that
was damaged or changed is refused, and two bundles with one id make the same masks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, JsonValue, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from glioseg.core import LabelScheme
from glioseg.core.targets import TaskName
from glioseg.errors import FileError, NetworkError, OptionError
from glioseg.frozen import Frozen
from glioseg.inference.activation import n_logits
from glioseg.inference.card import Card
from glioseg.inference.modalities import ModalitySets
from glioseg.inference.options import Activation, PredictOptions
from glioseg.inference.shipped import located
from glioseg.io.files import cannot_read, write_bytes, write_text
from glioseg.io.text import read_json
from glioseg.networks.build import ModelOptions, build_model, task_of
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions

WEIGHTS = "model.safetensors"
DESCRIPTION = "bundle.json"
_FOLLOWING = ("format", "model_id", "weights")
"""Fields that follow from the others and the weights."""
_DECIDES_NOTHING = frozenset({"model_id", "name", "provenance", "use", "card", "confidence", "skull"})
"""What is said beside the mask: all else in ``bundle.json`` decides it."""
MOST_BYTES = 4 << 30
"""Of a weights' file: a hundred times what the largest of our networks weighs."""
_SMALL = 64
_COPY = f"Copy {WEIGHTS} and {DESCRIPTION} again, together; in a run, `glioseg train` writes them anew"


class OwnNetwork(Frozen):
    """In the place of the options of a network: one that was given as an object, and has to be given again.

    Attributes:
        name: qualified name of its class.
        parameters: digest of the names and shapes of its parameters.
        task: what it is asked for.
        dims: spatial axes of its images.
    """

    kind: Literal["own"] = "own"
    name: str
    parameters: str
    task: TaskName
    dims: Literal[2, 3] = 2


class BundleInfo(Frozen):
    """``bundle.json``.

    Attributes:
        format: of the bundle; this version writes 2, and reads 1 too, which has neither ``weights`` nor blocks.
        model_id: first 12 hexadecimal digits of a SHA-256 over all that decides the mask (in format 1: of ``weights``).
        weights: SHA-256 of the weights' file; None in a description of format 1 until its weights are read.
        name: of the recipe.
        modalities: channels of the network, in order; what a case must have.
        regions: what the network gives probabilities of, in order; none for a classifier.
        scheme: meaning of the label maps that are written; none for a classifier.
        classes: what a classifier gives probabilities of, in order; none for a network that segments.
        temperature: that divides a classifier's logits, found on the validation part.
        model: the network.
        prepare: how a case becomes the network's input.
        slices: which slices are predicted and how many neighbours each is shown with.
        predict: how probabilities become a label map.
        patches: windows of a 3-D network; None for a network of slices.
        shape: rows and columns of the slices that the network was trained on; None for patches and classifiers.
        modality_sets: sets of modalities that the network can do with alone; it always can with all of them.
        card: what it says of itself to people; None where nobody wrote one.
        confidence: what the confidence in a prediction is computed from, in the terms of whoever computes it.
        skull: whether the heads that it was trained on have their skull; None where nobody knows, or only some have.
        provenance: free facts: version, date, cohort, scores.
    """

    format: Literal[1, 2] = 2
    model_id: str
    weights: str | None = None
    name: str
    modalities: tuple[str, ...] = Field(min_length=1)
    regions: tuple[str, ...] = ()
    scheme: SchemeRecord | None = None
    classes: tuple[str, ...] = ()
    temperature: float = Field(1.0, gt=0)
    model: ModelOptions | OwnNetwork
    prepare: PrepareOptions
    slices: SliceOptions
    predict: PredictOptions
    patches: PatchOptions | None = None
    shape: tuple[int, int] | None = None
    modality_sets: ModalitySets = ()
    card: Card | None = None
    confidence: Mapping[str, JsonValue] | None = None
    skull: bool | None = None
    provenance: dict[str, str | float | int | None] = Field(default_factory=dict)
    use: Literal["For research use only; not a medical device."] = "For research use only; not a medical device."

    @model_validator(mode="after")
    def _has_one_kind_of_targets(self) -> Self:
        of_regions, of_classes = bool(self.regions) and self.scheme is not None, len(self.classes) > 1
        if self.task == "classify" and (not of_classes or self.regions or self.scheme is not None):
            raise ValueError("a classifier has two classes or more, and neither regions nor a label scheme")
        if self.task == "segment" and (not of_regions or self.classes):
            raise ValueError("a network that segments has regions and a label scheme, and no classes")
        return self

    @model_validator(mode="after")
    def _names_each_thing_once(self) -> Self:
        for what, names in (("modalities", self.modalities), ("regions", self.regions), ("classes", self.classes)):
            if len(set(names)) < len(names):
                raise ValueError(f"{what} are named twice: {', '.join(names)}")
        if self.scheme is not None and (unknown := set(self.regions) - set(self.scheme.regions)):
            raise ValueError(f"the label scheme has no region {', '.join(sorted(unknown))}")
        for names in self.modality_sets:
            if not names or not set(names) < set(self.modalities):
                raise ValueError(f"not a set of some of the modalities: {', '.join(names) or 'none'}")
        return self

    @property
    def task(self) -> TaskName:
        """What the network is asked for."""
        return self.model.task if isinstance(self.model, OwnNetwork) else task_of(self.model)

    @property
    def dims(self) -> int:
        """Spatial axes of its images."""
        return self.model.dims

    @property
    def recipe_size(self) -> tuple[int, ...] | None:
        """The size of the images that the network was trained on; None where the recipe fixes none."""
        if self.patches is not None:
            return self.patches.voxels
        return None if self.prepare.size is None else (self.prepare.size,) * 2

    @property
    def activation(self) -> Activation:
        """What turns its logits into probabilities; those of classes are softmax's."""
        return "softmax" if self.classes else self.predict.activation

    @property
    def n_targets(self) -> int:
        """Logits of the network: per voxel those of the regions, or per picture one for each class."""
        return len(self.classes) or n_logits(len(self.regions), self.predict.activation)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A network in evaluation mode and what is needed to use it."""

    info: BundleInfo
    model: nn.Module

    @property
    def scheme(self) -> LabelScheme:
        """Meaning of the label maps that it writes.

        Raises:
            OptionError: it is a classifier, which writes none.
        """
        if self.info.scheme is None:
            raise OptionError(
                "a classifier makes no masks", found=self.info.name, expected="the bundle of a network that segments"
            )
        return self.info.scheme.scheme()


def bundle_of(fields: Mapping[str, Any], weights: Mapping[str, Tensor], network: nn.Module | None = None) -> Bundle:
    """A bundle that is not written yet, to be tried before it is.

    Args:
        fields: of ``BundleInfo`` but ``model_id`` and ``weights``, which follow from the rest.
        weights: of the network.
        network: the module, where it is one of your own; its weights are replaced.

    Raises:
        NetworkError: weights that are not finite.
        FileError: weights that do not fit the network.
    """
    data = _serialised(weights)
    return _assembled(_described(fields, data), data, Path(WEIGHTS), network)


def save_bundle(folder: Path, fields: Mapping[str, Any], weights: Mapping[str, Tensor]) -> BundleInfo:
    """Write a bundle; ``fields`` as those of ``bundle_of``.

    The description is written last: a bundle that was cut off in between is refused, for its weights are not the
    described ones.

    Raises:
        NetworkError: weights that are not finite.
        FileError: the folder cannot be written to.
    """
    data = _serialised(weights)
    info = _described(fields, data)
    write_bytes(folder / WEIGHTS, data)
    _write_info(folder, info)
    return info


def annotate_bundle(
    folder: Path, *, card: Card | None = None, confidence: Mapping[str, JsonValue] | None = None
) -> BundleInfo:
    """Give a bundle a model card or what its confidence is computed from, in the place of those that it has.

    What decides the mask stays as it was, and so does the model id (a bundle of format 1 gets the id of format 2).

    Raises:
        FileError: no bundle, a damaged one, or a folder that cannot be written to.
    """
    path = _description_in(folder)
    info, data = _read(path)
    blocks = {"card": card, "confidence": confidence}
    kept = {name: getattr(info, name) for name in BundleInfo.model_fields if name not in _FOLLOWING}
    info = _described(kept | {name: block for name, block in blocks.items() if block is not None}, data)
    _write_info(path.parent, info)
    return info


def load_bundle(folder: Path, network: nn.Module | None = None) -> Bundle:
    """Read a bundle, or the one in a run folder.

    Args:
        folder: of either, or ``model:NAME`` for a shipped one.
        network: the module, where it was one of your own; its weights are replaced.

    Raises:
        OptionError: a network of your own that is not given, another one than was trained, or one too many.
        FileError: a file is missing or damaged, was changed or belongs to another bundle, or the format is newer.
        NetworkError: weights that are not finite.
    """
    path = _description_in(folder)
    info, data = _read(path)
    return _assembled(info, data, path.parent / WEIGHTS, network)


def read_info(folder: Path) -> BundleInfo:
    """What a bundle says of itself; its weights are not read. Arguments and errors as ``load_bundle``."""
    return _read_info(_description_in(folder))


def halved_bundle(bundle: Bundle, folder: Path, card: Card | None = None, *, skull: bool | None = None) -> BundleInfo:
    """Write a bundle with its weights in float16: half the bytes, and probabilities that differ by some 1e-3.

    Args:
        bundle: what to write.
        folder: where.
        card: for people, in the place of the one that it has.
        skull: whether the heads that it was trained on have their skull, likewise.

    Raises:
        NetworkError: a weight that float16 cannot hold.
        FileError: the folder cannot be written to.
    """
    fields = {name: getattr(bundle.info, name) for name in BundleInfo.model_fields if name not in _FOLLOWING}
    weights = {
        name: value.half() if value.is_floating_point() else value for name, value in bundle.model.state_dict().items()
    }
    said = {name: value for name, value in (("card", card), ("skull", skull)) if value is not None}
    return save_bundle(folder, fields | said, weights)


def model_id(folder: Path) -> str | None:
    """Which model a bundle holds; None where there is none, or none that can be read."""
    try:
        return _read_info(folder / DESCRIPTION).model_id
    except FileError:
        return None


# -- files -------------------------------------------------------------------------------------------------------------


def _description_in(path: Path) -> Path:
    folder = located(path)
    for place in (folder, folder / "bundle"):
        if (place / DESCRIPTION).exists():
            return place / DESCRIPTION
    if not folder.exists():
        raise FileError(
            "there is no such run or bundle",
            path=folder,
            remedy="Make one with `glioseg train`, or take a shipped one: `glioseg models` lists them",
        )
    raise FileError(
        "neither a run with a bundle nor a bundle",
        path=folder,
        expected=f"{DESCRIPTION} and {WEIGHTS}",
        remedy="A run has a bundle once its training has ended; continue it with `glioseg train`",
    )


def _read(path: Path) -> tuple[BundleInfo, bytes]:
    """The description and the bytes of the weights, once it is certain that both are as they were written."""
    info = _read_info(path)
    _require_size(path.parent / WEIGHTS)
    try:
        data = (path.parent / WEIGHTS).read_bytes()
    except OSError as error:
        raise cannot_read(path.parent / WEIGHTS, error) from error
    weights = hashlib.sha256(data).hexdigest()
    described = info.model_id if info.format == 1 else info.weights
    if described is None or not weights.startswith(described):
        raise FileError(
            "the weights do not belong to this bundle",
            path=path.parent / WEIGHTS,
            found=f"weights {weights[:12]}",
            expected=described and described[:12],
            remedy=_COPY,
        )
    return info.model_copy(update={"weights": weights}), data


def _require_size(path: Path) -> None:
    """Refuse, before anything is read, what no network of this kind weighs."""
    try:
        n_bytes = path.stat().st_size
    except OSError as error:
        raise cannot_read(path, error) from error
    if n_bytes > MOST_BYTES:
        raise FileError(
            "the weights are larger than a bundle's",
            path=path,
            found=f"{n_bytes / 1e9:.1f} GB",
            expected=f"at most {MOST_BYTES / 1e9:.1f} GB",
        )


def _read_info(path: Path) -> BundleInfo:
    described = read_json(path)
    try:
        info = BundleInfo.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        raise FileError(
            "not a bundle that this version reads",
            path=path,
            found=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            remedy="Use the version of glioseg that wrote it, or a newer one",
        ) from error
    if info.format > 1 and isinstance(described, dict) and _model_id_of(described) != info.model_id:
        raise FileError(
            "the description was changed after it was written",
            path=path,
            found=f"model id {_model_id_of(described)}",
            expected=info.model_id,
            remedy=_COPY,
        )
    return info


def _write_info(folder: Path, info: BundleInfo) -> None:
    write_text(folder / DESCRIPTION, info.model_dump_json(indent=2) + "\n")


# -- digests -----------------------------------------------------------------------------------------------------------


def _described(fields: Mapping[str, Any], weights: bytes) -> BundleInfo:
    info = BundleInfo(model_id="", weights=hashlib.sha256(weights).hexdigest(), **fields)
    return info.model_copy(update={"model_id": _model_id_of(info.model_dump(mode="json"))})


def _model_id_of(described: Mapping[str, Any]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of what decides the mask, as it stands in ``bundle.json``.

    Of the file's own values, not of those that they are read as: an option that a later version adds, with a default
    that changes nothing, leaves the id of older bundles as it is. Order counts, that of regions above all.
    """
    deciding = {name: value for name, value in described.items() if name not in _DECIDES_NOTHING}
    return hashlib.sha256(json.dumps(deciding, separators=(",", ":")).encode()).hexdigest()[:12]


# -- networks ----------------------------------------------------------------------------------------------------------


def _serialised(weights: Mapping[str, Tensor]) -> bytes:
    _require_finite(weights, None)
    data: bytes = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    return data


def _assembled(info: BundleInfo, data: bytes, path: Path, network: nn.Module | None) -> Bundle:
    """The network with its weights; ``path`` is where they are from, for messages."""
    try:
        weights = load(data)
    except SafetensorError as error:
        raise cannot_read(path, error) from error
    _require_finite(weights, path)
    if isinstance(info.model, OwnNetwork):
        model = _own_network(network, info.model, path.parent)
    elif network is not None:
        raise OptionError("the bundle holds a network of glioseg's", path=path.parent, remedy="Leave network= out")
    else:
        _require_plausible(info, weights, path)
        n_channels = info.slices.n_channels(len(info.modalities))
        model = build_model(info.model, n_channels, info.n_targets, seed=0, size=info.prepare.size)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise FileError("the weights do not fit the network that the bundle describes", path=path) from error
    return Bundle(info, model.eval())


def _require_plausible(info: BundleInfo, weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a description whose network would be far larger than its weights, before memory is taken for it.

    A network's settings (width, depth, blocks, kernels) are small numbers or lengths of axes of its weights.
    """
    longest = max((max(value.shape, default=1) for value in weights.values()), default=1)
    for name, value in info.model.model_dump(mode="json").items():
        if max(_numbers(value), default=0) > max(longest, _SMALL):
            raise FileError(
                "the weights do not fit the network that the bundle describes",
                path=path,
                found=f"model.{name} = {value}",
                expected=f"at most {longest}, the longest axis of the weights",
                remedy=_COPY,
            )


def _numbers(value: Any) -> Iterator[float]:  # noqa: ANN401 - JSON values
    if isinstance(value, list):
        for element in value:
            yield from _numbers(element)
    elif isinstance(value, int | float):
        yield value


def _require_finite(weights: Mapping[str, Tensor], path: Path | None) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise NetworkError(
                "the network has weights that are not finite",
                path=path,
                found=f"NaN or infinity in {name}",
                remedy="Its training diverged: train again with a lower train.lr, or with train.clip_norm",
            )


def parameters_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names and shapes of a network's parameters and buffers, in their order."""
    return hashlib.sha256(repr([(name, tuple(value.shape)) for name, value in weights.items()]).encode()).hexdigest()


def _own_network(network: nn.Module | None, described: OwnNetwork, folder: Path) -> nn.Module:
    if network is None:
        raise OptionError(
            "the bundle holds the weights of a network that was given from Python",
            path=folder,
            found=described.name,
            remedy="Load it there: glioseg.load(path, network=…) or glioseg.evaluate(path, network=…)",
        )
    if parameters_digest(network.state_dict()) != described.parameters:
        raise OptionError(
            "this is another network than was trained",
            path=folder,
            found=f"{type(network).__module__}.{type(network).__qualname__} with other parameters",
            expected=described.name,
            remedy="Build it with the settings that it was trained with",
        )
    return network
