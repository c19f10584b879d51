"""Sections of a classifier's page."""

from __future__ import annotations

from pathlib import Path

from glioseg.evaluation.table import Row
from glioseg.report import style
from glioseg.report.classified import gallery_figure
from glioseg.report.figures import classes as charts
from glioseg.report.figures import curves
from glioseg.report.html import RESEARCH_ONLY, Block, Cell, Column, Listed, Section, Table, saved_picture
from glioseg.report.parts import run_setup
from glioseg.report.parts.run_words import NOTHING, duration, part_word, ratio_cell
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.run_facts import ClassificationFacts, RunFacts

_MOST_PICTURES = 9


def outcomes(facts: RunFacts, folder: Path) -> Section:
    """Confusion, ROC, precision over recall and reliability of the part on top."""
    part = facts.headline
    if part is None:
        return Section("outcomes", "Decisions and confidence", "", ())
    found = facts.parts[part].evaluation
    each = found["per_class"]
    shares = {name: values["n"] / found["n_items"] for name, values in each.items()}
    auc, precision = ({name: values[one] for name, values in each.items()} for one in ("auc", "average_precision"))
    ece = found["metrics"]["ece"]["value"]
    drawn = (
        ("confusion", charts.confusion(found["confusion"], found["classes"]), "Confusion", "Rows are true classes."),
        ("roc", charts.roc(found["roc"], auc), "ROC curve", "The grey diagonal is chance; ties count half."),
        (
            "precision-recall",
            charts.precision_recall(found["pr"], precision, shares),
            "Precision and recall",
            "Dotted: the share of the class, which guessing reaches.",
        ),
        (
            "reliability",
            charts.reliability(found["reliability"]),
            "Reliability",
            f"On the diagonal a confidence says how often it is right; mean gap (ECE) {ece:.3f}. Below: items by "
            "confidence.",
        ),
    )
    blocks = [
        saved_picture(folder, name, figure, "chart", title=title, caption=words, half=True)
        for name, figure, title, words in drawn
    ]
    return Section("outcomes", "Decisions and confidence", f"On the {part_word(part)} part.", tuple(blocks))


def pictures(facts: ClassificationFacts, folder: Path) -> Section:
    """Pictures that were said wrongly and rightly, with where the network looked."""
    blocks: list[Block] = []
    caption = "Left as it is, right under the Grad-CAM map of the class that is said: warm colours spoke for it. Above "
    caption += "each the class, its confidence and the true class. The map tells what a decision rested on, not where "
    caption += "a tumour ends."
    for name, shown, title in (
        ("wrong", facts.wrong, "Said wrongly, the surest first"),
        ("right", facts.right, "Said rightly"),
    ):
        if shown:
            figure = gallery_figure(shown[:_MOST_PICTURES])
            blocks.append(saved_picture(folder, f"pictures-{name}", figure, "scan", title=title, caption=caption))
    intro = "" if facts.headline is None else f"From the {part_word(facts.headline)} part."
    return Section("pictures", "Pictures", intro, tuple(blocks))


def training(facts: RunFacts, folder: Path) -> Section:
    """Losses, scores and learning rate."""
    log, best = facts.log, facts.best_epoch
    if not log:
        return Section("training", "Training", "", ())
    caption = "Training: mean over the epoch's batches, augmented. Validation: after the epoch, not augmented, before "
    caption += "the temperature. The dashed line marks the model that was kept."
    blocks: list[Block] = [
        saved_picture(folder, "losses", curves.losses(log, best), "chart", title="Loss", caption=caption, half=True)
    ]
    if any(row.get("classes") for row in log):
        words = "On the validation part, every picture alike."
        figure = charts.scores(log, best)
        blocks.append(
            saved_picture(folder, "scores", figure, "chart", title="Score on validation", caption=words, half=True)
        )
    words = "As it was in the last step of each epoch."
    figure = curves.learning_rate(log, best)
    blocks.append(
        saved_picture(folder, "learning-rate", figure, "chart", title="Learning rate", caption=words, half=True)
    )
    return Section("training", "Training", "", tuple(blocks))


def epochs(facts: ClassificationFacts) -> Section:
    """One row per epoch."""
    titles = ["Epoch", "Training loss", "Validation loss", "Accuracy", "Balanced accuracy", "AUC"]
    titles += [f"Recall {name}" for name in facts.names] + ["Learning rate", "Elapsed"]
    rows = []
    for row in facts.log[-MOST_ROWS:]:
        number, found = int(row["epoch"]) + 1, row.get("classes") or {}
        kept = row["epoch"] == facts.best_epoch
        losses = [row.get(name) for name in ("train_loss", "val_loss")]
        recalls = found.get("recall", {})
        rows.append(
            (
                Cell(f"{number} kept" if kept else f"{number}", number, "good" if kept else ""),
                *(NOTHING if one is None else Cell(style.number(one), one) for one in losses),
                *(ratio_cell(found.get(name)) for name in ("accuracy", "balanced_accuracy", "auc")),
                *(ratio_cell(recalls.get(name)) for name in facts.names),
                Cell(f"{row['learning_rate']:.2e}", row["learning_rate"]),
                Cell(duration(row.get("elapsed_s")), row.get("elapsed_s")),
            )
        )
    caption = "Epochs count from 1 (log.jsonl from 0); the one that was kept is marked."
    columns = tuple(Column(title, numeric=True) for title in titles)
    blocks = (Table(columns, tuple(rows), caption, page_size=20),) if rows else ()
    return Section("epochs", "Epoch by epoch", "", blocks)


def table(facts: RunFacts) -> Section:
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
    return Section("cases", "Cases", "", (Table(columns, rows, caption.strip(), page_size=25),))


def _row(part: str, row: Row, *, several: bool) -> tuple[Cell, ...]:
    right = bool(row["right"])
    verdict = Cell("right", 1.0, "good") if right else Cell("wrong", 0.0, "error")
    slices = (Cell(str(row["slice"]), float(row["slice"] or 0)),) if several else ()
    words = (Cell(part_word(part)), Cell(str(row["reference"])), Cell(str(row["predicted"])))
    confidence = float(row["confidence"] or 0)
    return (Cell(str(row["case"])), *slices, *words, Cell(f"{confidence:.4f}", confidence), verdict)


def data(facts: ClassificationFacts) -> Section:
    """The cohort, its classes and its division."""
    told, split = facts.data, facts.split
    items = [("Cohort", told.cohort), ("Layout", told.layout), ("Channels, in order", ", ".join(told.modalities))]
    items.append(("Classes, from 0", ", ".join(facts.names)))
    items += [("Assumed", words) for words in told.assumptions]
    items.append(("Split by", run_setup.UNITS[split.unit]))
    if split.fold is not None:
        items.append(("Fold", f"{split.fold[0]} of {split.fold[1]}"))
    items.append(("Seed of the split", "given as a file" if split.seed is None else str(split.seed)))
    if split.hash:
        items.append(("Hash of the split", split.hash))
    columns = (Column("Part"), Column("Cases", numeric=True), *(Column(name, numeric=True) for name in facts.names))
    rows = tuple(
        (
            Cell(part_word(name)),
            Cell(f"{split.parts[name].n_cases:,}", split.parts[name].n_cases),
            *(Cell(f"{counts.get(one, 0):,}", counts.get(one, 0)) for one in facts.names),
        )
        for name, counts in facts.counts.items()
    )
    return Section(
        "data", "Data and split", "", (Listed(tuple(items)), Table(columns, rows, "Pictures (slices) by class."))
    )


def conventions(facts: ClassificationFacts) -> Section:
    """What the words of the report mean."""
    items = [("Use", RESEARCH_ONLY)]
    if facts.headline is not None:
        protocol = facts.parts[facts.headline].evaluation["protocol"]
        items += [(name.capitalize(), words) for name, words in protocol["words"].items()]
        items += [("Undefined", protocol["undefined"]), ("Averages", protocol["average"])]
        interval = protocol["interval"]
        items.append(("Intervals", f"95 %, {interval['method']}, {interval['n_resamples']:,} draws"))
    items += [
        (
            "Confidence",
            f"softmax of the logits over {facts.temperature:.3g}, a temperature found on the validation part, on which "
            "the reliability is therefore better than elsewhere",
        ),
        (
            "Parts",
            "training: seen by the network; validation: temperature and, unless the last epoch is kept, the "
            "epoch; test: touched once, at the end",
        ),
    ]
    return Section("conventions", "How to read this report", "", (Listed(tuple(items)),))
