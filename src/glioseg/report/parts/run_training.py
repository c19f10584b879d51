"""How a training went: curves, and a table with a row per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glioseg.report import style
from glioseg.report.figures import curves
from glioseg.report.html import Block, Cell, Column, Section, Table, saved_picture
from glioseg.report.parts.run_words import NOTHING, duration, ratio_cell
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.run_facts import RunFacts

_LOG_HOLDS_ALL = "log.jsonl has all of them."
_REST = ("precision", "recall")


def training(facts: RunFacts, folder: Path) -> Section:
    """Losses, scores, learning rate and pace."""
    log, best = facts.log, facts.best_epoch
    if not log:
        return Section("training", "Training", "", ())
    validated = any(row.get("val_dice") is not None for row in log)
    marked = " The dashed line marks the best model, which is the one that was evaluated." if best is not None else ""
    blocks: list[Block] = [
        saved_picture(
            folder,
            "losses",
            curves.losses(log, best),
            "chart",
            title="Loss",
            caption="Training: mean over the epoch's batches, augmented, with the weights as they were at each. "
            f"Validation: after the epoch, not augmented.{marked}",
            half=True,
        )
    ]
    if validated:
        words = f"By {facts.score} the best model is picked. " if facts.score != "dice" else "It picks the best model. "
        blocks.append(
            saved_picture(
                folder,
                "scores",
                curves.scores(log, best, facts.score),
                "chart",
                title="Score on validation",
                caption=f"Dice on whole cases of the validation part, mean over cases, then over regions. {words}",
                half=True,
            )
        )
        blocks += _regions(facts, folder)
    blocks.append(
        saved_picture(
            folder,
            "learning-rate",
            curves.learning_rate(log, best),
            "chart",
            title="Learning rate",
            caption="As it was in the last step of each epoch.",
            half=True,
        )
    )
    if validated and any(row.get("elapsed_s") is not None for row in log):
        blocks.append(
            saved_picture(
                folder,
                "pace",
                curves.pace(log),
                "chart",
                title="Score over time",
                caption="Dice on validation (dots) and the best so far (line) by the time it took.",
                half=True,
            )
        )
    return Section("training", "Training", "", tuple(blocks))


def _regions(facts: RunFacts, folder: Path) -> list[Block]:
    logged = dict.fromkeys(name for row in facts.log for name in (row.get("regions") or {}))
    names = [name for name in facts.data.regions if name in logged] or list(logged)
    if not names:
        return []
    figure = curves.regions(facts.log, names, facts.best_epoch)
    title = "Dice, precision and recall by region" if len(names) > 1 else "Dice, precision and recall"
    caption = "On the validation part, mean over cases; epochs without a figure are passed over."
    return [saved_picture(folder, "regions-by-epoch", figure, "chart", title=title, caption=caption)]


def epochs(facts: RunFacts) -> Section:
    """One row per epoch."""
    if not facts.log:
        return Section("epochs", "Epochs", "", ())
    logged = dict.fromkeys(name for row in facts.log for name in (row.get("regions") or {}))
    titles = ["Epoch", "Training loss", "Validation loss", "Dice"]
    if len(logged) > 1:
        titles += [f"{name} Dice" for name in logged]
    titles += ["Learning rate", "Elapsed"]
    titles += [f"{name} {metric}" if len(logged) > 1 else metric.capitalize() for metric in _REST for name in logged]
    columns = [Column(title, numeric=True) for title in titles]
    shown = facts.log[-MOST_ROWS:]
    rows = tuple(_row(facts, row, list(logged)) for row in shown)
    caption = "Epochs count from 1 (log.jsonl from 0); the best one is marked. "
    caption += left_out(len(facts.log), _LOG_HOLDS_ALL).replace("The first", "The last")
    return Section("epochs", "Epoch by epoch", "", (Table(tuple(columns), rows, caption.strip(), page_size=20),))


def _row(facts: RunFacts, row: Mapping[str, Any], names: list[str]) -> tuple[Cell, ...]:
    number = int(row["epoch"]) + 1
    is_best = row["epoch"] == facts.best_epoch
    regions = row.get("regions") or {}
    rate, elapsed = row.get("learning_rate"), row.get("elapsed_s")
    return (
        Cell(f"{number} best" if is_best else f"{number}", number, "good" if is_best else ""),
        _loss(row.get("train_loss")),
        _loss(row.get("val_loss")),
        ratio_cell(row.get("val_dice")),
        *(ratio_cell((regions.get(name) or {}).get("dice")) for name in names if len(names) > 1),
        NOTHING if rate is None else Cell(f"{rate:.2e}", float(rate)),
        NOTHING if elapsed is None else Cell(duration(elapsed), float(elapsed)),
        *(ratio_cell((regions.get(name) or {}).get(metric)) for metric in _REST for name in names),
    )


def _loss(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(style.number(float(value)), float(value))
