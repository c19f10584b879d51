"""How a training went: curves, and a table with a row per epoch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from glioseg.errors import plural
from glioseg.evaluation.published import MEAN, PublishedFigure
from glioseg.evaluation.score import EMPTY_WORDS
from glioseg.report import style
from glioseg.report.figures import curves
from glioseg.report.html import Block, Cell, Column, Section, Table, saved_picture
from glioseg.report.parts.run_words import GRID_WORDS, NOTHING, SLICE_WORDS, duration_cell, ratio_cell
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.run_facts import RunFacts, SegmentationFacts
from glioseg.training.log import LogRow

_LOG_HOLDS_ALL = "log.jsonl has all of them."
_MOST_UNFOLDED = 6
_REST = ("precision", "recall")
_KEPT = {"best": "best model", "last": "last model"}
_WORD = {"best": "best", "last": "kept"}


def training(facts: RunFacts, folder: Path) -> Section:
    """Losses, scores, learning rate and pace."""
    log, best, keep = facts.log, facts.best_epoch, facts.keep
    if not log:
        return Section("training", "Training", "", ())

    def curve(name: str, figure: Figure, title: str, caption: str) -> Block:
        return saved_picture(folder, name, figure, "chart", title=title, caption=caption, half=True)

    validated = any(row.figure("val_dice") is not None for row in log)
    words = "Training: mean over the epoch's batches, augmented, with the weights as they were at each. "
    words += "Validation: after the epoch, not augmented, slices in batches of the same size, volumes whole. "
    words += "Both are the same sum of the same terms, weights included."
    if best is not None:
        words += f" The dashed line marks the {_KEPT[keep]}, which is the one that was evaluated."
    blocks = [curve("losses", curves.losses(log, best, keep), "Loss", words)]
    if validated:
        words = "Dice on whole cases of the validation part, mean over cases, then over regions. "
        if keep == "best":
            words += (
                f"The best model is picked by {facts.score}." if facts.score != "dice" else "It picks the best model."
            )
        else:
            words += "The last model was kept, whatever its score."
        blocks.append(curve("scores", curves.scores(log, best, facts.score, keep), "Score on validation", words))
        blocks += _regions(facts, folder)
    words = "Its value in the last step of each epoch."
    blocks.append(curve("learning-rate", curves.learning_rate(log, best, keep), "Learning rate", words))
    if validated and any(row.elapsed_s is not None for row in log):
        words = "Dice on validation (dots) and the best so far (line) over the time taken."
        blocks.append(curve("pace", curves.pace(log), "Score over time", words))
    return Section("training", "Training", "", tuple(blocks))


def _regions(facts: RunFacts, folder: Path) -> list[Block]:
    logged = _logged_regions(facts)
    names = [name for name in facts.data.regions if name in logged] or logged
    if not names:
        return []
    figure = curves.regions(facts.log, names, facts.best_epoch, facts.keep)
    title = "Dice, precision and recall by region" if len(names) > 1 else "Dice, precision and recall"
    caption = "On the validation part, mean over cases; epochs without a figure are skipped."
    return [saved_picture(folder, "regions-by-epoch", figure, "chart", title=title, caption=caption)]


def epochs(facts: SegmentationFacts) -> Section:
    """One row per epoch; where the recipe follows a publication that has such a table, another one by its rules."""
    if not facts.log:
        return Section("epochs", "Epochs", "", ())
    logged = _logged_regions(facts)
    titles = ["Epoch", "Training loss", "Validation loss", "Dice"]
    if len(logged) > 1:
        titles += [f"{name} Dice" for name in logged]
    titles += ["Learning rate", "Elapsed"]
    titles += [f"{name} {metric}" if len(logged) > 1 else metric.capitalize() for metric in _REST for name in logged]
    columns = [Column(title, numeric=True) for title in titles]
    rows = tuple(_row(facts, row, logged) for row in facts.log[-MOST_ROWS:])
    caption = "Epochs count from 1 (log.jsonl from 0); the one whose network was kept is marked. "
    caption += epochs_left_out(facts.log)
    every = Table(tuple(columns), rows, caption.strip(), page_size=20, fold=fold_of_epochs(rows))
    blocks = [every, *_as_published(facts)]
    return Section("epochs", "Epoch by epoch", "", tuple(blocks))


def _as_published(facts: SegmentationFacts) -> list[Table]:
    """The scores of each epoch as the publication counts them, in its order: the mean of a figure, then its regions."""
    protocol = facts.followed
    if protocol is None:
        return []
    with_regions = [(figure, _regions_of(facts.log, figure)) for figure in protocol.figures]
    places = [(figure, region) for figure, regions in with_regions for region in regions]
    if not places:
        return []  # a run from before these were logged
    titles = [
        f"{figure.metric} {'mean' if region == MEAN else region}" if len(facts.data.regions) > 1 else figure.metric
        for figure, region in places
    ]
    rules = [f"{figure.name} ({EMPTY_WORDS[figure.empty]})" for figure, _ in with_regions]
    caption = (
        f"The same epochs, scored on the validation part as published by {protocol.source}: {', '.join(rules)}; on "
        f"{GRID_WORDS[protocol.grid]}, {SLICE_WORDS[protocol.slices]}. These figures decide nothing here; those of the "
        f"table above are means over cases on the native grid. {epochs_left_out(facts.log)}"
    )
    columns = tuple(Column(title, numeric=True) for title in ("Epoch", "Training loss", "Validation loss", *titles))
    rows = tuple(
        (
            epoch_cell(row, facts.best_epoch, _WORD[facts.keep]),
            loss_cell(row.train_loss),
            loss_cell(row.val_loss),
            *(ratio_cell(row.figure("as_published", figure.name, region)) for figure, region in places),
        )
        for row in facts.log[-MOST_ROWS:]
    )
    return [Table(columns, rows, caption.strip(), page_size=20, fold=fold_of_epochs(rows, "as published"))]


def epochs_left_out(log: Sequence[LogRow]) -> str:
    """What the caption of a table of epochs says where it holds the last of them only; else nothing."""
    return left_out(len(log), _LOG_HOLDS_ALL).replace("The first", "The last")


def fold_of_epochs(rows: Sequence[object], how: str = "row by row") -> str:
    """The line behind which a long table of epochs is folded; none for a short one."""
    return f"{plural(len(rows), 'epoch')}, {how}" if len(rows) > _MOST_UNFOLDED else ""


def _regions_of(log: Sequence[LogRow], figure: PublishedFigure) -> list[str]:
    """The regions of a figure that the log has, their mean first; alone what was published, where that is known."""
    logged = dict.fromkeys(region for row in log for region in row.names("as_published", figure.name))
    return [
        region for region in (MEAN, *(name for name in logged if name != MEAN)) if _is_shown(region, logged, figure)
    ]


def _is_shown(region: str, logged: Collection[str], figure: PublishedFigure) -> bool:
    """One region needs no mean."""
    if region == MEAN and len(logged) < 3:
        return False
    return region in logged and (not figure.values or region in figure.values)


def _logged_regions(facts: RunFacts) -> list[str]:
    """The regions whose figures some epoch has, in the order of the log."""
    return list(dict.fromkeys(name for row in facts.log for name in row.names("regions")))


def _row(facts: RunFacts, row: LogRow, regions: list[str]) -> tuple[Cell, ...]:
    return (
        epoch_cell(row, facts.best_epoch, _WORD[facts.keep]),
        loss_cell(row.train_loss),
        loss_cell(row.val_loss),
        ratio_cell(row.figure("val_dice")),
        *(ratio_cell(row.figure("regions", name, "dice")) for name in regions if len(regions) > 1),
        rate_cell(row.learning_rate),
        duration_cell(row.elapsed_s),
        *(ratio_cell(row.figure("regions", name, metric)) for metric in _REST for name in regions),
    )


def epoch_cell(row: LogRow, best_epoch: int | None, word: str) -> Cell:
    """The number of an epoch, from 1, with a word beside the one whose model is in the bundle."""
    number, is_best = row.epoch + 1, row.epoch == best_epoch
    return Cell(f"{number} {word}" if is_best else f"{number}", number, "good" if is_best else "")


def loss_cell(value: float | None) -> Cell:
    """A loss in three digits."""
    return NOTHING if value is None else Cell(style.number(value), value)


def rate_cell(value: float | None) -> Cell:
    """A learning rate."""
    return NOTHING if value is None else Cell(f"{value:.2e}", value)
