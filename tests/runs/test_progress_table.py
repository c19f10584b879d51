"""What the table of a training says of the time that is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glioseg.config import read_recipe
from glioseg.runs.progress_table import ProgressTable
from glioseg.tasks.segment.task import SegmentTask
from glioseg.tasks.task import LogColumns
from glioseg.training.log import LogRow
from glioseg.training.progress import TrainingPlace


@pytest.mark.parametrize(
    ("max_minutes", "elapsed_s", "expected"),
    [
        (None, 10.0, "1:23:15"),  # two of 1,001 steps in 10 s: 999 at 5 s each
        (5.0, 60.0, "0:04:00"),
        (5.0, 301.0, "0:00:00"),
    ],
)
def test_a_limit_of_time_is_what_is_left(
    max_minutes: float | None,
    elapsed_s: float,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = ProgressTable(LogColumns(), quiet=False, epochs=100, max_minutes=max_minutes)
    table.on_step(place(n_updates=2, n_total=1001, elapsed_s=elapsed_s))
    table.on_epoch(LogRow(epoch=0, train_loss=1.0, learning_rate=1e-3, elapsed_s=elapsed_s))
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"  {expected}")


def test_the_time_left_is_right_from_the_first_row_of_a_resume(capsys: pytest.CaptureFixture[str]) -> None:
    """500 of 1,000 steps have taken 1,000 s, 499 of them before the resume: 500 steps at 2 s each are left."""
    table = ProgressTable(LogColumns(), quiet=False, epochs=100)
    table.on_start(place(epoch=49, step=9, n_updates=499, elapsed_s=998.0))
    table.on_step(place(epoch=49, step=10, n_updates=500, elapsed_s=1000.0))
    table.on_epoch(LogRow(epoch=49, train_loss=1.0, learning_rate=1e-3, elapsed_s=1000.0))
    first, *_, row = capsys.readouterr().err.splitlines()
    assert first == "Continuing at epoch 50, step 10"
    assert row.endswith("  0:16:40")


def test_a_line_once_a_minute_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 59.0, 61.0, 61.0, 62.0])
    monkeypatch.setattr("glioseg.runs.progress_table.time.monotonic", lambda: next(times))
    table = ProgressTable(LogColumns(), quiet=False, epochs=9, score="dice")
    table.on_start(place(n_updates=0))
    for n in (1, 2, 3):
        table.on_step(place(step=n, n_updates=n, n_total=9, loss=0.25, best_score=0.5, elapsed_s=10.0 * n))
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "Epoch 1/9, step 2/10, loss 0.2500, best dice 0.500, left 0:01:10"


def _row(epoch: int, regions: tuple[str, ...]) -> LogRow:
    figures = {name: {"dice": 0.8, "precision": 0.7, "recall": 0.9} for name in regions}
    return LogRow(
        epoch=epoch,
        train_loss=0.25,
        val_loss=0.5,
        learning_rate=1e-3,
        elapsed_s=10.0,
        images_per_s=21.3,
        figures={"regions": figures} if regions else {},
    )


@pytest.mark.parametrize("regions", [("tumour",), ("WT", "TC", "ET"), tuple(f"a long name {n}" for n in range(9))])
def test_rows_are_never_wider_than_a_terminal(regions: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The first epoch is not validated; once one is, the heads of its columns are said."""
    table = ProgressTable(SegmentTask.columns, quiet=False, epochs=100)
    for epoch, known in enumerate(((), regions, regions)):
        table.on_step(place(n_updates=epoch + 1))
        table.on_epoch(_row(epoch, known))
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 80
    assert all("Dice" in line and "left" in line for line in lines if "epoch" in line)
    assert "0.800" in lines[-1]
    assert ("prec." in lines[0], "images/s" in lines[0]) == (True, True)
    assert ("WT .800 TC .800 ET .800" in lines[-1]) == (len(regions) == 3)
    heads = [line for line in lines if "epoch" in line][-1]
    assert ("prec." in heads and "recall" in heads) == (len(regions) < 9)


def test_epochs_of_a_recipe_that_follows_a_publication_are_counted_as_there(capsys: pytest.CaptureFixture[str]) -> None:
    """What the table shows is said before its first row; our own Dice of 0.8 is in the log alone."""
    columns = SegmentTask().log_columns(read_recipe("rc9-brats-multimodal"))
    table = ProgressTable(columns, quiet=False, epochs=50)
    row = _row(15, ("NCR", "ED", "ET"))
    own = {
        "dice by slice": {"NCR": 0.562, "ED": 0.46, "ET": 0.721, "mean": 0.581},
        "precision by batch": {"NCR": 0.123, "ED": 0.369, "ET": 0.236, "mean": 0.243},
        "recall by batch": {"NCR": 0.285, "ED": 0.347, "ET": None, "mean": None},
    }
    table.on_start(place())
    table.on_epoch(_row(14, ()))
    table.on_epoch(replace(row, figures={**row.figures, "as_published": own}))
    words, *lines = capsys.readouterr().err.replace("\n", " ").split("report.")
    assert "as published by rc-9/BraTS_UNet v1" in words
    assert "dice by slice (both empty = 1), precision by batch (0/0 = 0)" in words
    last = lines[0].split()
    assert [value for value in ("0.581", ".562", ".460", ".721", "0.243") if value not in last] == []
    assert "0.800" not in last


def test_a_recipe_that_follows_nobody_shows_our_own_figures() -> None:
    assert SegmentTask().log_columns(read_recipe("lgg")) is SegmentTask.columns
    assert SegmentTask().log_columns(read_recipe("tum-lgg")) is SegmentTask.columns  # of its test part


def place(**changes: Any) -> TrainingPlace:
    """The first step of ten, in an epoch of a hundred."""
    values = {"epoch": 0, "step": 1, "n_steps": 10, "n_updates": 1, "n_total": 1000, "elapsed_s": 1.0}
    return TrainingPlace(**({"loss": None, "best_score": None} | values | changes))
