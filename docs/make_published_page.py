"""Write ``docs/published.md``, the page of the published works, and its charts, from the runs in ``docs/published``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glioseg.evaluation.statistics import bootstrap_intervals
from glioseg.report import style
from glioseg.report.figures.render import png_of

DOCS = Path(__file__).parent
PAGE = DOCS / "published.md"
RUNS = DOCS / "published"
_HEAD = """# The published works, repeated

glioseg began with five published works, and each has a recipe that does what it describes. The table shows side by side
what they report, what the same protocol gives here, and what is left when patients are kept apart and every case counts
once. With data folders of your own, one command makes such a page, with overlays and the report of every run:

    glioseg study published --data lgg=kaggle_3m --data brats=BraTS2021 --data pictures=brain_tumor_dataset --out study

This copy is made by `docs/make_published_page.py` from what `docs/take_published_run.py` keeps of runs: settings,
scores and curves, but no scans. **Compare each row with its own publication, not with the other rows**: data, regions
and rules differ.

"""


@dataclass(frozen=True)
class Row:
    """A line of the page.

    Args:
        key: file in ``docs/published`` without its ending.
        work: who published it.
        what: network, data and protocol in a few words.
        figure: which of the published figures: its fields; None where no figure was published.
        words: that figure for people, or what was published in its place.
        honest: region of the cases that are averaged beside it; ``mean`` over regions, ``right`` for classifiers.
        honest_words: what that is.
        command: how a run was made.
        differs: what is not as the authors had it.
        knows_patients: whether cases stand for patients, without which there is no interval.
    """

    key: str
    work: str
    what: str
    figure: dict[str, str] | None
    words: str
    honest: str
    honest_words: str
    command: str
    differs: str
    knows_patients: bool = True


_TUM = (
    "66 of the 110 patients; a sixteenth of the parameters (width 16 instead of 64); the authors do not say what their "
    "class weights are"
)
_NAZIR = "--set model.width=16 --set prepare.size=128"
_FOLDS = "--set split.n_folds=5 --set train.keep=last --set model.width=16"
_LONGER = "--set train.epochs=60 --set train.schedule=one-cycle"
_EGWAOJE = (
    "some 23 patients for training where the authors had about 875; a sixteenth of the parameters (width 16 instead of "
    "64); folds; the last epoch instead of a chosen one"
)
ROWS = (
    Row(
        "tum-by-slice",
        "Patsatzi & Whiteley Tscherniak (TUM)",
        "U-Net, combined loss, LGG, split by slice as published",
        {"metric": "dice", "unit": "slice", "of": "tumour"},
        "Dice by slice, two empty masks count 1, 128×128",
        "tumour",
        "Dice of slices with tumour in reference or prediction; still split by slice",
        "glioseg train tum-lgg --data LGG --set split.protocol=slice --set model.width=16",
        _TUM,
        knows_patients=False,
    ),
    Row(
        "tum-by-patient",
        "Patsatzi & Whiteley Tscherniak (TUM)",
        "the same, split by patient",
        {"metric": "dice", "unit": "slice", "of": "tumour"},
        "Dice by slice, two empty masks count 1, 128×128",
        "tumour",
        "Dice of patients, 256×256, all slices",
        "glioseg train tum-lgg --data LGG --set model.width=16",
        f"split by patient instead of by slice; {_TUM}",
    ),
    Row(
        "rc9-v1",
        "rc-9/BraTS_UNet",
        "version 1: T1c and FLAIR, 8 patients for training, 2 for validation",
        {"metric": "dice", "unit": "slice", "of": "mean"},
        "mean Dice of NCR, ED, ET by slice, two empty masks count 1",
        "mean",
        "Dice of patients, native grid, mean over regions",
        "glioseg train rc9-brats-multimodal --data BRATS --split DRAW",
        "the authors do not say which ten patients of BraTS they used: here, draws of ten from 29",
    ),
    Row(
        "rc9-v2",
        "rc-9/BraTS_UNet",
        "version 2: attention gates and augmentation, the same draws",
        {"metric": "dice", "unit": "slice", "of": "mean"},
        "mean Dice of NCR, ED, ET by slice, two empty masks count 1",
        "mean",
        "Dice of patients, native grid, mean over regions",
        "glioseg train rc9-brats-attention --data BRATS --split DRAW",
        "no figures of it were published",
    ),
    Row(
        "egwaoje",
        "Egwaoje",
        "U-Net, BraTS FLAIR, tumour-bearing slices at 96×96, ten epochs, five folds by patient",
        {"metric": "dice", "unit": "pooled", "of": "WT"},
        "Dice of WT, pooled over the pixels of slices with tumour",
        "WT",
        "Dice of patients, native grid, all slices",
        f"glioseg train egwaoje-brats-flair --data BRATS --fold K {_FOLDS}",
        _EGWAOJE,
    ),
    Row(
        "egwaoje-long",
        "Egwaoje",
        "the same for 60 epochs with a falling rate",
        {"metric": "dice", "unit": "pooled", "of": "WT"},
        "Dice of WT, pooled over the pixels of slices with tumour",
        "WT",
        "Dice of patients, native grid, all slices",
        f"glioseg train egwaoje-brats-flair --data BRATS --fold K {_FOLDS} {_LONGER}",
        f"60 epochs instead of 10 and a one-cycle rate; {_EGWAOJE}",
    ),
    Row(
        "nazir",
        "Nazir",
        "U-Net on images and masks of LGG, split by patient",
        None,
        "loss curves and overlays",
        "tumour",
        "Dice of patients, 256×256, all slices",
        f"glioseg train nazir-unet --data LGG {_NAZIR}",
        "66 of the 110 patients; a sixteenth of the parameters (width 16 instead of 64) at half the image size",
    ),
    Row(
        "nazir-pairs",
        "Nazir",
        "the same network on BRISC's folders of pictures and masks",
        None,
        "loss curves and overlays",
        "tumour",
        "Dice of pictures, with copies of a picture kept on one side",
        f"glioseg train nazir-unet --data BRISC/segmentation_task/train {_NAZIR} --set train.epochs=8",
        "BRISC's pictures instead of theirs; a sixteenth of the parameters at half the image size; 8 epochs",
        knows_patients=False,
    ),
    Row(
        "sharma",
        "Sharma, Kumar & Sharma",
        "two convolutions, tumour or no tumour, folds of 200 pictures",
        {"metric": "accuracy", "of": "test accuracy in the results"},
        "accuracy on a part that was not trained on",
        "right",
        "share of correct answers, with copies of a picture kept on one side",
        "glioseg train sharma-cnn --data PICTURES --set split.n_folds=5 --set split.fold=K --set train.keep=last",
        "200 of the 253 pictures; copies of a picture stay in one part; the last epoch is kept, so nothing is chosen",
        knows_patients=False,
    ),
)


@dataclass(frozen=True)
class Result:
    """What the runs of a row say."""

    row: Row
    published: float | None
    obtained: tuple[float, ...]
    cases: tuple[tuple[int, float], ...]
    runs: Sequence[dict[str, Any]]


def results() -> list[Result]:
    """Of every row whose runs are kept."""
    return [_result(row) for row in ROWS if (RUNS / f"{row.key}.json").exists()]


def _result(row: Row) -> Result:
    runs = json.loads((RUNS / f"{row.key}.json").read_text(encoding="utf-8"))["runs"]
    figures = [] if row.figure is None else [_figure(run["figures"], row.figure) for run in runs]
    published = next((figure["published"] for figure in figures if figure["published"] is not None), None)
    cases = [
        (case["patient"], value)
        for run in runs
        for case in run["cases"]
        if (value := _value(case, row.honest)) is not None
    ]
    return Result(row, published, tuple(figure["obtained"] for figure in figures), tuple(cases), runs)


def _figure(figures: Sequence[dict[str, Any]], fields: dict[str, str]) -> dict[str, Any]:
    return next(figure for figure in figures if fields.items() <= figure.items())


def _value(case: dict[str, float | None], region: str) -> float | None:
    """Of one case; the mean over regions where they are asked for together, None where it is undefined."""
    if region != "mean":
        return case[region]
    values = [value for name, value in case.items() if name != "patient" and value is not None]
    return float(np.mean(values)) if values else None


def page() -> str:
    """The whole page."""
    found = results()
    return "\n".join([_HEAD + table(found), *_pictures(), *_rows(found)]).rstrip() + "\n"


def table(found: Sequence[Result]) -> str:
    """A line for each result: published, obtained by the same rule, and honestly."""
    head = "| work | published | obtained by the same rule | patients kept apart, every case once |\n|---|---|---|---|"
    lines = [
        f"| **{each.row.work}**: {each.row.what} | {_published(each)} | {_obtained(each)} | {_honest(each)} |"
        for each in found
    ]
    return "\n".join([head, *lines, ""])


def _obtained(result: Result) -> str:
    values = np.array(result.obtained)
    if len(values) == 0:
        return "curves"
    if len(values) == 1:
        return f"**{values[0]:.3f}**"
    middle = f"**{np.median(values):.3f}** (median of {len(values)} runs"
    return f"{middle}, {values.min():.3f}–{values.max():.3f}; mean {values.mean():.3f}, SD {values.std(ddof=1):.3f})"


def _honest(result: Result) -> str:
    patients, values = zip(*result.cases, strict=True)
    mean = float(np.mean(values))
    if not result.row.knows_patients:
        return f"{mean:.3f}: {result.row.honest_words}"
    names = [str(patient) for patient in patients]
    interval = bootstrap_intervals(np.array(values)[:, None], names)[0]
    between = "" if interval is None else f" ({interval[0]:.3f}–{interval[1]:.3f} over {len(set(names))} patients)"
    return f"{mean:.3f}{between}: {result.row.honest_words}"


def _published(result: Result) -> str:
    if result.row.figure is None:
        return result.row.words
    return "–" if result.published is None else f"{result.published:g}"


def _pictures() -> Iterator[str]:
    yield "![Published (hollow) and obtained (filled, one for each run)](images/published-figures.png)\n"
    yield "![Training and validation loss by epoch, one line for each run](images/published-curves.png)\n"


def _rows(found: Sequence[Result]) -> Iterator[str]:
    yield "## How each was made, and how it differs from the publication\n"
    for each in found:
        minutes = sum(run["minutes"] for run in each.runs)
        run_words = "one run" if len(each.runs) == 1 else f"{len(each.runs)} runs"
        yield f"**{each.row.work}: {each.row.what}.**\n"
        yield f"- Command: `{each.row.command}`; {run_words}, {minutes:.0f} minutes, with other jobs running."
        yield f"- Figure: {each.row.words}." if each.row.figure else f"- Published: {each.row.words}."
        yield f"- Not as published: {each.row.differs}.\n"


def figures() -> dict[str, Figure]:
    """Name of its file -> chart."""
    return {"published-figures": _dots(results()), "published-curves": _curves(results())}


def _dots(found: Sequence[Result]) -> Figure:
    found = [each for each in found if each.obtained]
    figure = style.new_figure(style.FULL_WIDTH, 0.9 + 0.5 * len(found))
    axes = style.style_axes(figure.add_subplot(), grid="x")
    for place, each in enumerate(found):
        axes.plot(each.obtained, [place] * len(each.obtained), "o", color=style.ACCENT, alpha=0.55, markersize=8)
        if each.published is not None:
            axes.plot(each.published, place, "o", color=style.INK, markerfacecolor=style.PAPER, markersize=9, zorder=3)
    labels = [style.plain(f"{each.row.key}: {each.row.words}", 84) for each in found]
    axes.set_yticks(range(len(found)), labels, fontsize=style.LABEL_PT)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    return figure


def _curves(found: Sequence[Result]) -> Figure:
    figure = style.new_figure(style.FULL_WIDTH, 2.9 * ((len(found) + 1) // 2))
    for place, each in enumerate(found):
        axes = style.style_axes(figure.add_subplot((len(found) + 1) // 2, 2, place + 1), grid="y")
        for name, colour in (("train_loss", style.ACCENT), ("val_loss", style.POSITIVE)):
            for run in each.runs:
                values = [(epoch + 1, value) for epoch, value in enumerate(run["curves"][name]) if value is not None]
                axes.plot(
                    *zip(*values, strict=True), color=colour, linewidth=1.2, alpha=0.6 if len(each.runs) > 1 else 1
                )
            axes.plot([], [], color=colour, label="training" if name == "train_loss" else "validation")
        axes.set_title(each.row.key, fontsize=style.TITLE_PT, loc="left")
        axes.set_xlabel("epoch", fontsize=style.LABEL_PT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("loss", fontsize=style.LABEL_PT)
        axes.legend(fontsize=style.TICK_PT, frameon=False)
    return figure


def main() -> None:
    """Write the page and its charts."""
    PAGE.write_text(page(), encoding="utf-8")
    for name, figure in figures().items():
        (DOCS / "images" / f"{name}.png").write_bytes(png_of(figure))


if __name__ == "__main__":
    main()
