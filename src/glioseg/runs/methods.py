"""The methods section of a paper, from a run: what was done and every convention, in sentences that can be copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from glioseg import __version__
from glioseg.config import Recipe
from glioseg.core import PARTS
from glioseg.errors import listed, plural
from glioseg.evaluation.conventions import CONVENTIONS
from glioseg.evaluation.protocol import INTERVAL_METHOD, LEVEL, SURFACES
from glioseg.evaluation.score import EMPTY_RULES
from glioseg.inference.card import Figure
from glioseg.inference.thresholds import EXPECTED_DICE
from glioseg.networks.build import dims_of
from glioseg.report.parts.run_words import part_phrase, part_word
from glioseg.tasks.data import TrainingData
from glioseg.training.options import SCHEDULES, TrainOptions

_REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "unet": "Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image segmentation. "
        "MICCAI 2015.",
        "attention-unet": "Oktay O et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018.",
        "resunet": "Zhang Z, Liu Q, Wang Y. Road extraction by deep residual U-Net. IEEE GRSL 15, 2018.",
        "unet++": "Zhou Z et al. UNet++: a nested U-Net architecture for medical image segmentation. DLMIA 2018.",
        "deeplabv3plus": "Chen LC et al. Encoder-decoder with atrous separable convolution for semantic image "
        "segmentation. ECCV 2018.",
        "segresnet": "Myronenko A. 3D MRI brain tumor segmentation using autoencoder regularization. BrainLes 2018.",
        "dynunet": "Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image "
        "segmentation. Nat Methods 18, 2021.",
        "swinunetr": "Hatamizadeh A et al. Swin UNETR: Swin transformers for semantic segmentation of brain tumors in "
        "MRI images. BrainLes 2021.",
        "mednext": "Roy S et al. MedNeXt: transformer-driven scaling of ConvNets for medical image segmentation. "
        "MICCAI 2023.",
        "adam": "Kingma DP, Ba J. Adam: a method for stochastic optimization. ICLR 2015.",
        "adamw": "Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019.",
        "dice": "Milletari F, Navab N, Ahmadi SA. V-Net: fully convolutional neural networks for volumetric medical "
        "image segmentation. 3DV 2016.",
        "focal": "Lin TY et al. Focal loss for dense object detection. ICCV 2017.",
        "tversky": "Salehi SSM, Erdogmus D, Gholipour A. Tversky loss function for image segmentation using 3D fully "
        "convolutional deep networks. MLMI 2017.",
        "one-cycle": "Smith LN, Topin N. Super-convergence: very fast training of neural networks using large learning "
        "rates. arXiv:1708.07120.",
        "interval": "Efron B. Better bootstrap confidence intervals. J Am Stat Assoc 82, 1987.",
        "metrics": "Maier-Hein L et al. Metrics reloaded: recommendations for image analysis validation. Nat Methods "
        "21, 2024.",
    }
)


@dataclass(frozen=True)
class Methods:
    """What a paper says of a run.

    Args:
        paragraphs: data; preparation; network and training; evaluation and results.
        references: of the methods that were used. Those of the data are the author's to add.
    """

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it, as ``methods.txt`` holds it."""
        return (
            "\n\n".join(self.paragraphs)
            + "\n\nReferences\n"
            + "\n".join(f"- {each}" for each in self.references)
            + "\n"
        )


def methods_of(
    recipe: Recipe,
    data: TrainingData,
    *,
    figures: Sequence[Figure],
    best_epoch: int | None,
    n_epochs: int,
    n_parameters: int | None,
    started_from: str | None = None,
    own: Mapping[str, str] = MappingProxyType({}),
) -> Methods:
    """What was done, in sentences.

    Args:
        recipe: of the training.
        data: that it was trained on.
        figures: that it reached, one for each part, region and metric that is told.
        best_epoch: of the model that was kept, from 0.
        n_epochs: that were trained, the last of them perhaps in part.
        n_parameters: of the network.
        started_from: the model whose weights it began with, in words.
        own: ``network`` and ``loss`` -> name, where the caller gave them in the place of the recipe's.
    """
    paragraphs = (
        " ".join(_of_data(recipe, data)),
        " ".join(_of_preparation(recipe)),
        " ".join(_of_training(recipe, best_epoch, n_epochs, n_parameters, started_from, own)),
        " ".join((*_of_evaluation(recipe), *_of_results(figures))),
    )
    return Methods(paragraphs, tuple(_references(recipe, own)))


def _of_data(recipe: Recipe, data: TrainingData) -> Iterator[str]:
    cohort, split = data.cohort, data.split
    yield (
        f"{plural(len(cohort.cases), 'case')} of {plural(len(cohort.patients), 'patient')} of {cohort.name} were used "
        f"({', '.join(data.modalities)})."
    )
    parts = (f"{len(getattr(split, name))} for {part_word(name)}" for name in PARTS if getattr(split, name))
    fold = f", fold {recipe.split.fold + 1} of {recipe.split.n_folds}" if recipe.split.n_folds is not None else ""
    seed = "given as a list" if split.seed is None else f"seed {split.seed}"
    yield f"They were divided by {split.unit}{fold}: {', '.join(parts)} ({seed}; SHA-256 {split.sha256[:12]})."
    if split.unit == "slice":
        yield "Slices of one patient lie in several parts, so the figures flatter the network."
    scheme = data.prepared.scheme
    if scheme is not None:
        labels = "; ".join(f"{name} = {' + '.join(scheme.regions[name])}" for name in data.targets.names)
        yield f"Regions, by the labels of the scheme {scheme.name}: {labels}."


def _of_preparation(recipe: Recipe) -> Iterator[str]:
    options = recipe.prepare
    steps = ["cropped to the box around the brain"] if options.crop_to_brain else []
    if options.size is not None:
        steps.append(f"resized to {options.size} × {options.size} pixels a slice")
    if options.spacing_mm is not None:
        steps.append(f"resampled to {' × '.join(f'{value:g}' for value in options.spacing_mm)} mm")
    where = f"the {options.normalise_over}" + (" within the brain" if options.brain_only else "")
    if options.clip_percentiles is not None:
        low, high = options.clip_percentiles
        steps.append(f"cut off at the {low:g}th and {high:g}th percentile of {where}")
    words = {"z-score": "zero mean and unit variance", "min-max": "the range from 0 to 1"}
    if options.normalise != "none":
        steps.append(f"normalised to {words[options.normalise]} over {where}")
    yield f"Images were {', '.join(steps) or 'used as they are'}."
    if options.brain_only:
        yield "Everything outside the brain was set to 0."
    stand_in = "zeros" if options.missing == "zero" else options.missing
    yield f"Where a case lacked a modality, {stand_in} replaced it."


def _of_training(
    recipe: Recipe,
    best_epoch: int | None,
    n_epochs: int,
    n_parameters: int | None,
    started_from: str | None,
    own: Mapping[str, str],
) -> Iterator[str]:
    train = recipe.train
    size = f" of {n_parameters:,} parameters" if n_parameters is not None else ""
    begun = f", started from {started_from}," if started_from else ""
    yield f"{_network(recipe, own)}{size}{begun} was trained with glioseg {__version__} (recipe {recipe.name})."
    loss = own.get("loss", recipe.loss.kind)
    clip = f", gradients clipped at a norm of {train.clip_norm:g}" if train.clip_norm is not None else ""
    decay = f" and weight decay {train.weight_decay:g}" if train.weight_decay else ""
    yield (
        f"Loss: {loss}. Optimiser: {train.optimiser.kind}, learning rate {train.lr:g}{decay}, schedule "
        f"{train.schedule.kind}, batches of {train.batch_size}, {_epochs(train, n_epochs)}{clip}, "
        f"seed {train.seed}."
    )
    if train.ema is not None:
        yield f"Weights were averaged exponentially (decay {train.ema:g})."
    if train.tumour_share is not None:
        yield f"Slices with tumour made up {train.tumour_share:.0%} of an epoch."
    changes = [name.replace("_", " ") for name, change in recipe.augment if change.probability > 0]
    yield f"Augmentation: {', '.join(changes) or 'none'}; all settings are in recipe.toml."
    if best_epoch is not None:
        chosen = (
            "the last validated one; nothing was chosen on validation"
            if train.keep == "last"
            else f"chosen by {train.score} on the validation part"
        )
        yield f"The model is that of epoch {best_epoch + 1}, {chosen}."


def _epochs(train: TrainOptions, n_epochs: int) -> str:
    """How long it was trained, and by what it may have been ended before all epochs were done."""
    planned = plural(train.epochs, "epoch")
    if n_epochs >= train.epochs:
        return planned
    ends = [
        *([] if train.max_minutes is None else [f"a limit of {train.max_minutes:g} minutes"]),
        *([] if train.max_steps is None else [f"a limit of {train.max_steps:,} steps"]),
        *(
            []
            if train.early_stopping is None
            else [f"early stopping after {plural(train.early_stopping, 'validation')} without improvement"]
        ),
    ]
    return f"{n_epochs} of {planned} (ended by {listed(ends, 'or')})" if ends else f"{n_epochs} of {planned}"


def _network(recipe: Recipe, own: Mapping[str, str]) -> str:
    if "network" in own:
        return f"A network of our own, {own['network']},"
    options = recipe.model
    shape = [f"{name} {value}" for name in ("width", "depth") if isinstance(value := getattr(options, name, None), int)]
    described = f" ({', '.join(shape)})" if shape else ""
    n_shown = recipe.slices.n_shown
    of_slices = f"slices with {n_shown - 1} neighbours each" if n_shown > 1 else "single slices"
    seen = "three-dimensional patches" if dims_of(options) == 3 else of_slices
    return f"A network of the kind {options.kind}{described} for {seen}"


def _of_evaluation(recipe: Recipe) -> Iterator[str]:
    options = recipe.evaluate
    interval = (
        f"{100 * LEVEL:.0f} % intervals by {INTERVAL_METHOD} ({options.n_resamples:,} draws, seed {options.seed})"
    )
    if recipe.task == "classify":
        yield f"Every picture was scored once; {interval}."
        return
    predict = recipe.predict
    painted = (
        "the most probable of background and regions was painted"
        if predict.activation == "softmax"
        else "thresholds and smallest components were chosen on the validation part"
        if predict.tune
        else "a voxel was painted above the probability by which the Dice of its case is expected to be best"
        if predict.threshold == EXPECTED_DICE
        else f"a voxel was painted above a probability of {predict.threshold:g}"
    )
    views = {"none": "", "lr": ", averaged over the image and its mirror image", "all": ", averaged over all flips"}
    yield f"Probabilities were mapped back to the native grid{views[predict.flips]}; {painted}."
    lesions = CONVENTIONS[options.convention].lesions.describe()
    yield (
        f"Figures are means over cases, on the native grid and every slice, with {interval}. Empty masks, rule "
        f"{options.empty}: {EMPTY_RULES[options.empty]}. Surfaces: {SURFACES}. Lesions: {lesions}."
    )


def _of_results(figures: Sequence[Figure]) -> Iterator[str]:
    by_part: dict[str, list[Figure]] = {}
    for figure in figures:
        by_part.setdefault(figure.part, []).append(figure)
    for part, of_part in by_part.items():
        words = (
            f"{figure.metric} {figure.of} {figure.value:.3f}".replace("  ", " ")
            + ("" if figure.ci95 is None else f" ({figure.ci95[0]:.3f} to {figure.ci95[1]:.3f})")
            for figure in of_part
        )
        yield f"On {part_phrase(part)} ({plural(of_part[0].n_cases or 0, 'case')}): {', '.join(words)}."


def _references(recipe: Recipe, own: Mapping[str, str]) -> Iterator[str]:
    used: list[Any] = [] if "network" in own else [recipe.model.kind]
    used += [recipe.train.optimiser.kind, *([] if "loss" in own else recipe.loss.terms)]
    used += [recipe.train.schedule.kind] if recipe.train.schedule.kind in SCHEDULES else []
    yield from (_REFERENCES[name] for name in dict.fromkeys((*used, "interval", "metrics")) if name in _REFERENCES)
