"""A bundle: the two files that a prediction needs, and nothing of the data it was trained on.

``model.safetensors`` holds the weights, ``bundle.json`` everything else in plain words. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from glioseg.core import LabelScheme
from glioseg.core.targets import TaskName
from glioseg.errors import FileError, OptionError
from glioseg.inference.activation import n_logits
from glioseg.inference.options import Activation, PredictOptions
from glioseg.io.files import cannot_read, read_json, replacing, write_text
from glioseg.networks.build import ModelOptions, build_model, task_of
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions

WEIGHTS = "model.safetensors"
DESCRIPTION = "bundle.json"


class OwnNetwork(BaseModel):
    """In the place of the options of a network: one that was given as an object, and has to be given again.

    Attributes:
        name: qualified name of its class.
        parameters: digest of the names and shapes of its parameters.
        task: what it is asked for.
        dims: spatial axes of its images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["own"] = "own"
    name: str
    parameters: str
    task: TaskName
    dims: Literal[2, 3] = 2


class BundleInfo(BaseModel):
    """``bundle.json``.

    Attributes:
        format: of the bundle; this version writes and reads 1.
        model_id: first 12 hexadecimal digits of the SHA-256 of the weights' file.
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
        provenance: free facts: version, date, cohort, scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model_id: str
    name: str
    modalities: tuple[str, ...] = Field(min_length=1)
    regions: tuple[str, ...] = ()
    scheme: SchemeRecord | None = None
    classes: tuple[str, ...] = ()
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    model: ModelOptions | OwnNetwork
    prepare: PrepareOptions
    slices: SliceOptions
    predict: PredictOptions
    patches: PatchOptions | None = None
    shape: tuple[int, int] | None = None
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

    @property
    def task(self) -> TaskName:
        """What the network is asked for."""
        return self.model.task if isinstance(self.model, OwnNetwork) else task_of(self.model)

    @property
    def dims(self) -> int:
        """Spatial axes of its images."""
        return self.model.dims

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


def save_bundle(folder: Path, info: Mapping[str, Any], weights: Mapping[str, Tensor]) -> BundleInfo:
    """Write a bundle; ``info`` are the fields of ``BundleInfo`` but ``model_id``, which the weights decide.

    Raises:
        FileError: the folder cannot be written to.
    """
    data = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    described = BundleInfo(model_id=hashlib.sha256(data).hexdigest()[:12], **info)
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(data)
    write_text(folder / DESCRIPTION, described.model_dump_json(indent=2) + "\n")
    return described


def load_bundle(folder: Path, network: nn.Module | None = None) -> Bundle:
    """Read a bundle, or the one in a run folder.

    Args:
        folder: of either.
        network: the module, where it was one of your own; its weights are replaced.

    Raises:
        OptionError: a network of your own that is not given, another one than was trained, or one too many.
        FileError: a file is missing or damaged, the weights belong to another description, or the format is newer.
    """
    if not (folder / DESCRIPTION).exists() and (folder / "bundle" / DESCRIPTION).exists():
        folder = folder / "bundle"
    if not folder.exists():
        raise FileError("there is no such run or bundle", path=folder, remedy="Make one with: glioseg train")
    if not (folder / DESCRIPTION).exists():
        raise FileError(
            "neither a run with a bundle nor a bundle",
            path=folder,
            expected=f"{DESCRIPTION} and {WEIGHTS}",
            remedy="A run has a bundle once its training has ended; continue it with glioseg train",
        )
    info = _read_info(folder / DESCRIPTION)
    path = folder / WEIGHTS
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise cannot_read(path, error) from error
    if digest != info.model_id:
        raise FileError(
            "the weights do not belong to this bundle",
            path=path,
            found=f"model id {digest}",
            expected=info.model_id,
            remedy=f"Copy {WEIGHTS} and {DESCRIPTION} together",
        )
    n_channels = info.slices.n_channels(len(info.modalities))
    if isinstance(info.model, OwnNetwork):
        model = _own_network(network, info.model, folder)
    elif network is not None:
        raise OptionError("the bundle holds a network of glioseg's", path=folder, remedy="Leave network= out")
    else:
        model = build_model(info.model, n_channels, info.n_targets, seed=0, size=info.prepare.size)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise FileError("the weights do not fit the network that the bundle describes", path=path) from error
    return Bundle(info, model.eval())


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


def model_id(folder: Path) -> str | None:
    """Which model a bundle holds; None where there is none, or none that can be read."""
    try:
        return _read_info(folder / DESCRIPTION).model_id
    except FileError:
        return None


def _read_info(path: Path) -> BundleInfo:
    try:
        return BundleInfo.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise FileError(
            "not a bundle that this version reads",
            path=path,
            found=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            remedy="Use the version of glioseg that wrote it, or a newer one",
        ) from error
