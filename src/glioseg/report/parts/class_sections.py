"""Sections of a classifier's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from glioseg.evaluation.class_protocol import INTERVAL_METHOD, UNDEFINED, ClassEvaluation
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.table import Row
from glioseg.report.classified import gallery_figure
from glioseg.report.figures import classes as charts
from glioseg.report.figures import curves
from glioseg.report.html import RESEARCH_ONLY, Block, Cell, Column, Listed, Section, Table, saved_picture
from glioseg.report.parts.run_cases import fold_of_cases
from glioseg.report.parts.run_setup import split_items
from glioseg.report.parts.run_training import epoch_cell, epochs_left_out, fold_of_epochs, loss_cell, rate_cell
from glioseg.report.parts.run_words import duration_cell, part_phrase, part_word, ratio_cell
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.run_facts import ClassificationFacts
from glioseg.training.log import LogRow

_MOST_PICTURES = 9


def outcomes(facts: ClassificationFacts, folder: Path) -> Section:
    """Confusion, ROC, precision over recall and reliability of the part on top."""
    part = facts.headline
    if part is None:
        return Section("outcomes", "Decisions and confidence", "", ())
    blocks = tuple(
        saved_picture(folder, name, figure, "chart", title=title, caption=words, half=True)
        for name, figure, title, words in _outcome_charts(facts.parts[part].evaluation.items)
    )
    return Section("outcomes", "Decisions and confidence", f"On {part_phrase(part)}.", blocks)


def _outcome_charts(figures: ClassFigures) -> tuple[tuple[str, Figure, str, str], ...]:
    """Name, chart, title and caption of each."""
    by_class = figures.per_class
    shares = {name: (values["n"] or 0) / figures.n_items for name, values in by_class.items()}
    auc = {name: values["auc"] for name, values in by_class.items()}
    precision = {name: values["average_precision"] for name, values in by_class.items()}
    gap = (
        f"On the diagonal, confidence is the share of right answers; mean gap (ECE) {figures.metrics['ece'].value:.3f}."
    )
    return (
        ("confusion", charts.confusion(figures.confusion, figures.classes), "Confusion", "Rows are true classes."),
        ("roc", charts.roc(figures.roc, auc), "ROC curve", "The grey diagonal is chance; ties count half."),
        (
            "precision-recall",
            charts.precision_recall(figures.pr, precision, shares),
            "Precision and recall",
            "Dotted: the share of the class, which guessing reaches.",
        ),
        ("reliability", charts.reliability(figures.reliability), "Reliability", f"{gap} Below: items by confidence."),
    )


def pictures(facts: ClassificationFacts, folder: Path) -> Section:
    """Pictures that were said wrongly and rightly, with where the network looked."""
    blocks: list[Block] = []
    caption = (
        "Left: the picture; right: with the Grad-CAM map of the predicted class, where warm colours spoke for it. "
    )
    caption += (
        "Above each: the predicted class, its confidence and the true class. The map shows what a decision rested "
    )
    caption += "on, not where a tumour ends."
    for name, group, title in (
        ("wrong", facts.wrong, "Wrong answers, the surest first"),
        ("right", facts.right, "Said rightly"),
    ):
        if group:
            figure = gallery_figure(group[:_MOST_PICTURES])
            blocks.append(saved_picture(folder, f"pictures-{name}", figure, "scan", title=title, caption=caption))
    intro = "" if facts.headline is None else f"From {part_phrase(facts.headline)}."
    return Section("pictures", "Pictures", intro, tuple(blocks))


def training(facts: ClassificationFacts, folder: Path) -> Section:
    """Losses, scores and learning rate."""
    log, best = facts.log, facts.best_epoch
    if not log:
        return Section("training", "Training", "", ())
    caption = "Training: mean over the epoch's batches, augmented. Validation: after the epoch, not augmented, before "
    caption += "the temperature. The dashed line marks the model that was kept."
    blocks: list[Block] = [
        saved_picture(
            folder, "losses", curves.losses(log, best, facts.keep), "chart", title="Loss", caption=caption, half=True
        )
    ]
    if any(row.names("classes") for row in log):
        words = "On the validation part, every picture counting the same."
        figure = charts.scores(log, best)
        blocks.append(
            saved_picture(folder, "scores", figure, "chart", title="Score on validation", caption=words, half=True)
        )
    words = "Its value in the last step of each epoch."
    figure = curves.learning_rate(log, best, facts.keep)
    blocks.append(
        saved_picture(folder, "learning-rate", figure, "chart", title="Learning rate", caption=words, half=True)
    )
    return Section("training", "Training", "", tuple(blocks))


def epochs(facts: ClassificationFacts) -> Section:
    """One row per epoch."""
    titles = ["Epoch", "Training loss", "Validation loss", "Accuracy", "Balanced accuracy", "AUC"]
    titles += [f"Recall {name}" for name in facts.names] + ["Learning rate", "Elapsed"]
    rows = tuple(_epoch_cells(facts, row) for row in facts.log[-MOST_ROWS:])
    caption = "Epochs count from 1 (log.jsonl from 0); the one that was kept is marked. "
    caption += epochs_left_out(facts.log)
    columns = tuple(Column(title, numeric=True) for title in titles)
    blocks = (Table(columns, rows, caption.strip(), page_size=20, fold=fold_of_epochs(rows)),) if rows else ()
    return Section("epochs", "Epoch by epoch", "", blocks)


def _epoch_cells(facts: ClassificationFacts, row: LogRow) -> tuple[Cell, ...]:
    return (
        epoch_cell(row, facts.best_epoch, "kept"),
        loss_cell(row.train_loss),
        loss_cell(row.val_loss),
        *(ratio_cell(row.figure("classes", name)) for name in ("accuracy", "balanced_accuracy", "auc")),
        *(ratio_cell(row.figure("classes", "recall", name)) for name in facts.names),
        rate_cell(row.learning_rate),
        duration_cell(row.elapsed_s),
    )


def table(facts: ClassificationFacts) -> Section:
    """One row per picture or slice, wrong ones first, the surest of them on top."""
    pairs = [(part, row) for part in facts.ordered_parts for row in facts.parts[part].rows]
    if not pairs:
        return Section("cases", "Cases", "", ())
    pairs.sort(key=lambda pair: (bool(pair[1]["right"]), -float(pair[1]["confidence"] or 0), str(pair[1]["case"])))
    several = any(row["slice"] != 1 for _, row in pairs)
    titles = ("Case", *(("Slice",) if several else ()), "Part", "True class", "Said", "Confidence", "")
    columns = tuple(Column(title, numeric=title in ("Slice", "Confidence")) for title in titles)
    rows = tuple(_row(part, row, several=several) for part, row in pairs[:MOST_ROWS])
    caption = "Click a heading to sort. " + left_out(len(pairs), "cases-PART.csv have all of them.")
    fold = fold_of_cases(len(pairs), "wrong ones first")
    return Section("cases", "Cases", "", (Table(columns, rows, caption.strip(), page_size=25, fold=fold),))


def _row(part: str, row: Row, *, several: bool) -> tuple[Cell, ...]:
    right = bool(row["right"])
    verdict = Cell("right", 1.0, "good") if right else Cell("wrong", 0.0, "error")
    slices = (Cell(str(row["slice"]), float(row["slice"] or 0)),) if several else ()
    words = (Cell(part_word(part)), Cell(str(row["reference"])), Cell(str(row["predicted"])))
    confidence = float(row["confidence"] or 0)
    return (Cell(str(row["case"])), *slices, *words, Cell(f"{confidence:.4f}", confidence), verdict)


def data(facts: ClassificationFacts) -> Section:
    """The cohort, its classes and its division."""
    about, split = facts.data, facts.split
    items = [("Cohort", about.cohort), ("Layout", about.layout), ("Channels, in order", ", ".join(about.modalities))]
    items.append(("Classes, from 0", ", ".join(facts.names)))
    items += [("Assumed", words) for words in about.assumptions]
    columns = (Column("Part"), Column("Cases", numeric=True), *(Column(name, numeric=True) for name in facts.names))
    rows = tuple(
        (
            Cell(part_word(part)),
            Cell(f"{split.parts[part].n_cases:,}", split.parts[part].n_cases),
            *(Cell(f"{counts.get(name, 0):,}", counts.get(name, 0)) for name in facts.names),
        )
        for part, counts in facts.counts.items()
    )
    blocks = (Listed((*items, *split_items(split))), Table(columns, rows, "Pictures (slices) by class."))
    return Section("data", "Data and split", "", blocks)


def _protocol_items(evaluation: ClassEvaluation) -> list[tuple[str, str]]:
    """How figures came about."""
    return [
        *((name.capitalize(), words) for name, words in evaluation.words.items()),
        ("Undefined", UNDEFINED),
        ("Averages", evaluation.average),
        ("Intervals", f"95 %, {INTERVAL_METHOD}, {evaluation.options.n_resamples:,} draws"),
    ]


def conventions(facts: ClassificationFacts) -> Section:
    """What the words of the report mean."""
    items = [("Use", RESEARCH_ONLY)]
    if facts.headline is not None:
        items += _protocol_items(facts.parts[facts.headline].evaluation)
    items += [
        ("Confidence", _confidence_words(facts.temperatures)),
        (
            "Parts",
            "training: seen by the network; validation: temperature and, unless the last epoch is kept, the "
            "epoch; test: used once, at the end",
        ),
    ]
    return Section("conventions", "How to read this report", "", (Listed(tuple(items)),))


def _confidence_words(temperatures: Sequence[float]) -> str:
    where = "on which the reliability is therefore better than elsewhere"
    if len(temperatures) == 1:
        divided = f"softmax of the logits divided by {temperatures[0]:.3g}"
        return f"{divided}, a temperature fitted on the validation part, {where}"
    values = ", ".join(f"{value:.3g}" for value in temperatures)
    return (
        f"the mean of the networks' softmax of the logits divided by {values}: temperatures fitted on their "
        f"validation parts, {where}"
    )
