"""Runs as a training would tell them: scored by the evaluation itself, from references and perturbed predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, Image, LabelMap, scheme_named
from glioseg.evaluation.cases import CaseScores, score_case
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.contributions import Changed, ChangedCase
from glioseg.evaluation.overlap import FN, FP, TN, TP
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate
from glioseg.evaluation.published import PublishedFigure, PublishedProtocol, published
from glioseg.evaluation.table import case_rows
from glioseg.report.gallery import gallery_item
from glioseg.report.run_facts import (
    Baseline,
    CohortFacts,
    GalleryItem,
    GalleryKind,
    Level,
    NetworkFacts,
    PartCounts,
    PartScores,
    RecipeFacts,
    SegmentationFacts,
    SplitFacts,
    Timing,
    WeightMap,
)
from glioseg.training.log import LogRow

SHAPE = (20, 18, 4)
GRID = Grid(SHAPE, np.diag([-1.0, -1.0, 2.0, 1.0]))
SCHEME = scheme_named("brats2023")
REGIONS = ("WT", "TC", "ET")
Array = npt.NDArray[Any]


def reference(seed: int) -> LabelMap:
    """Boxes within each other: oedema, core, enhancing; in the second and third slice."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    x = 4 + seed % 4
    labels[x : x + 9, 4:13, 1:3] = 2
    labels[x + 2 : x + 7, 6:11, 1:3] = 1
    labels[x + 3 : x + 5, 7:9, 1:3] = 3
    return LabelMap(labels, SCHEME, GRID)


def shifted(labels: LabelMap, steps: int) -> LabelMap:
    """A prediction: the reference, some voxels further along X."""
    return LabelMap(np.roll(labels.array, steps, axis=0), labels.scheme, labels.grid)


def image(seed: int) -> Image:
    """Two modalities, bright in a border-free box."""
    array = np.zeros((2, *SHAPE), dtype=np.int16)
    array[:, 1:-1, 1:-1] = np.random.default_rng(seed).integers(100, 900, (2, 18, 16, 4))
    return Image(array, ("t1c", "t2f"), GRID)


def scored(cases: Mapping[str, tuple[LabelMap, LabelMap]], regions: Sequence[str] = REGIONS) -> list[CaseScores]:
    return [score_case(name, f"patient {name}", one, other, regions) for name, (one, other) in cases.items()]


def without_t1c(scores: CaseScores) -> CaseScores:
    """The case with nothing found where T1c is removed, and the same as before where it is permuted."""
    counts, none = scores.counts, scores.counts.copy()
    none[:, FN] += none[:, TP]
    none[:, TN] += none[:, FP]
    none[:, [TP, FP]] = 0
    change = np.where(counts[:, [TP, FN]].sum(axis=1) > 0, -0.5, np.nan)
    removed = ChangedCase(Changed("t1c", "removed"), none, change)
    return replace(scores, changed=(removed, ChangedCase(Changed("t1c", "permuted"), counts, 0 * change)))


def part_scores(
    scores: Sequence[CaseScores], protocol: PublishedProtocol | None = None, reasons: Sequence[Reason] = ()
) -> PartScores[Evaluation]:
    block = None if protocol is None else published(scores, protocol, reasons=reasons)
    return PartScores(aggregate(scores, EvaluateOptions(n_resamples=200), block), case_rows(scores))


def log(n_epochs: int, *, every: int = 1, regions: Sequence[str] = REGIONS) -> list[LogRow]:
    """Falling losses and rising scores; validation every so many epochs."""
    rows = []
    for epoch in range(n_epochs):
        share = 1 - math.exp(-4 * (epoch + 1) / n_epochs)
        wobble = 0.015 * math.sin(2.4 * epoch)
        row: dict[str, Any] = {"epoch": epoch, "train_loss": 0.9 - 0.75 * share + wobble / 3}
        row["learning_rate"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * epoch / n_epochs))
        if (epoch + 1) % every == 0:
            figures = {
                name: {
                    "dice": (0.92 - 0.07 * number) * share + wobble * share,
                    "precision": (0.95 - 0.05 * number) * share - wobble * share,
                    "recall": (0.9 - 0.08 * number) * share + 2 * wobble * share,
                }
                for number, name in enumerate(regions)
            }
            dice = sum(values["dice"] for values in figures.values()) / len(figures)
            row |= {"val_loss": 0.92 - 0.68 * share - wobble, "val_score": dice, "val_dice": dice, "regions": figures}
        rows.append(LogRow.from_json(row | {"elapsed_s": 14.2 * (epoch + 1)}))
    return rows


def unet_levels(width: int, depth: int, size: int, n_channels: int, n_regions: int, *, attention: bool) -> list[Level]:
    """As a module of these options has them."""
    words = "2 × (3×3 convolution, batch norm, ReLU)"
    down = [Level("down", width * 2**i, (size // 2**i,) * 2, words) for i in range(depth + 1)]
    up = [
        Level("up", width * 2**i, (size // 2**i,) * 2, words, attention, (2 * depth - i, i + 1), "concatenated")
        for i in reversed(range(depth))
    ]
    first, last = Level("input", n_channels, (size, size)), Level("head", n_regions, (size, size), "1×1 convolution")
    return [first, *down, *up, last]


PROTOCOL = PublishedProtocol(
    source="rc-9/BraTS_UNet v1, last epoch",
    grid="native",
    slices="all",
    figures=(
        PublishedFigure(
            metric="dice", unit="slice", empty="both_empty_1", values={"WT": 0.7, "TC": 0.45, "ET": 0.7, "mean": 0.6}
        ),
        PublishedFigure(metric="precision", unit="pooled", empty="zero", values={"WT": 0.3}),
    ),
)


def items(regions: Sequence[str] = REGIONS) -> list[GalleryItem]:
    kinds: tuple[tuple[GalleryKind, int, int], ...] = (
        ("best", 0, 1),
        ("median", 1, 2),
        ("worst", 4, 1),
        ("no-tumour", 1, 0),
    )
    slices = []
    for number, (kind, steps, z) in enumerate(kinds):
        labels = reference(number)
        dice = None if kind == "no-tumour" else 0.9 - 0.1 * steps
        masks = (labels, shifted(labels, steps))
        slices.append(gallery_item(f"case-{number}", "test", kind, z, image(number), *masks, regions, dice))
    return slices


def weight_map() -> WeightMap:
    mask = np.zeros((16, 16), dtype=np.bool_)
    mask[3:6, 3:6] = mask[9:13, 8:12] = True
    weights = np.where(mask, 3.0, 1.0) + np.linspace(0, 10, 256).reshape(16, 16)
    return WeightMap("case-0", 1, mask, weights, "WT")


def full_run() -> SegmentationFacts:
    """Everything that a report can show."""
    test = {f"case-{number}": (reference(number), shifted(reference(number), number % 4)) for number in range(6)}
    empty = LabelMap(np.zeros(SHAPE, dtype=np.uint8), SCHEME, GRID)
    test |= {"case-empty": (empty, empty), "case-missed": (reference(1), empty)}
    val = {f"val-{number}": (reference(number), shifted(reference(number), 1)) for number in range(3)}
    return SegmentationFacts(
        recipe=RecipeFacts(
            "rc9-brats-multimodal",
            '[model]\nkind = "unet"\nwidth = 16 # <wide>\n',
            about="T1Gd and FLAIR, three regions",
            after="rc-9/BraTS_UNet v1",
            notes=("The smoothing of the Dice loss is not stated; 1 was taken.",),
        ),
        data=CohortFacts(
            cohort="phantoms",
            layout="brats",
            modalities=("t1c", "t2f"),
            regions={"WT": ("NCR", "ED", "ET"), "TC": ("NCR", "ET"), "ET": ("ET",)},
            scheme="brats2023",
            labels=SCHEME.describe(),
            assumptions=("Channel order t1n, t1c, t2w, t2f is assumed.",),
        ),
        split=SplitFacts(
            {
                "train": PartCounts(14, 14, 2170, 900, 0.011),
                "val": PartCounts(3, 3, 12, 6, 0.1),
                "test": PartCounts(8, 8, 32, None, None),
            },
            seed=7,
            hash="a1b2c3",
            fold=(1, 5),
        ),
        log=log(12),
        best_epoch=9,
        n_epochs=12,
        parts={
            "val": part_scores(scored(val)),
            "test": part_scores(
                [without_t1c(scores) for scores in scored(test)], PROTOCOL, (Reason("data", "another data set"),)
            ),
        },
        gallery=items(),
        weight_maps=(weight_map(),),
        network=NetworkFacts(
            "U-Net", tuple(unet_levels(16, 3, 96, 2, 3, attention=True)), 482_115, {"Normalisation": "batch"}
        ),
        environment={"glioseg": "0.1.0", "device_name": "a processor", "threads": 2, "cuda": "none"},
        timing=Timing(170.4, 210.0, 12.0),
        baseline=Baseline("best threshold on FLAIR", 0.61, "WT", "test"),
    )


def bare_run() -> SegmentationFacts:
    """What is known before the first epoch has ended."""
    return SegmentationFacts(
        recipe=RecipeFacts("lgg", ""),
        data=CohortFacts("kaggle_3m", "lgg", ("pre", "flair", "post"), {"tumour": ("tumour",)}, has_mm=False),
        split=SplitFacts({"train": PartCounts(50, 50, 1700), "val": PartCounts(16, 16, 568)}),
    )
