"""Events for TensorBoard, read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from glioseg.errors import FileError, OptionError
from glioseg.training.events import EventLog, require_tensorboard
from glioseg.training.log import LogRow, append_log, cut_log


def read_points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of all event files in a folder, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def _row(epoch: int, **more: Any) -> LogRow:
    return LogRow(epoch=epoch, train_loss=0.5 / (epoch + 1), learning_rate=0.25, elapsed_s=2.0, **more)


def _logged(run: Path, events: EventLog, row: LogRow) -> int:
    size = append_log(run / "log.jsonl", row)
    events.on_epoch(row)
    return size


def test_every_figure_of_an_epoch_is_a_point(tmp_path: Path) -> None:
    """Binary fractions, which float32 holds; a region without a figure leaves a gap."""
    events = EventLog(tmp_path)
    regions = {"WT": {"dice": 0.5, "precision": 0.25, "recall": 0.75}, "ET": {"dice": None}}
    figures = {"val_dice": 0.5, "regions": regions}
    _logged(tmp_path, events, _row(0))
    _logged(tmp_path, events, _row(1, val_loss=0.125, val_score=0.625, images_per_s=32.0, figures=figures))
    events.close()
    assert read_points(tmp_path / "tensorboard") == {
        "loss/training": [(1, 0.5), (2, 0.25)],
        "learning_rate": [(1, 0.25), (2, 0.25)],
        "loss/validation": [(2, 0.125)],
        "dice/mean": [(2, 0.5)],
        "score": [(2, 0.625)],
        "images_per_s": [(2, 32.0)],
        "dice/WT": [(2, 0.5)],
        "precision/WT": [(2, 0.25)],
        "recall/WT": [(2, 0.75)],
    }


def test_rows_that_a_resume_cut_off_are_not_there_twice(tmp_path: Path) -> None:
    """Killed between the row of epoch 2 and its checkpoint: the log is cut, and epoch 2 is trained again."""
    first = EventLog(tmp_path)
    size = _logged(tmp_path, first, _row(0))
    _logged(tmp_path, first, _row(1))
    cut_log(tmp_path / "log.jsonl", size)
    second = EventLog(tmp_path)
    _logged(tmp_path, second, _row(1))
    second.close()
    assert read_points(tmp_path / "tensorboard")["loss/training"] == [(1, 0.5), (2, 0.25)]


def test_a_training_without_epochs_left_has_its_events_too(tmp_path: Path) -> None:
    append_log(tmp_path / "log.jsonl", _row(0))
    EventLog(tmp_path).close()
    assert read_points(tmp_path / "tensorboard")["loss/training"] == [(1, 0.5)]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way", encoding="utf-8")
    append_log(tmp_path / "log.jsonl", _row(0))
    with pytest.raises(FileError, match="tensorboard: cannot be written"):
        EventLog(tmp_path).on_epoch(_row(0))


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_tensorboard()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(OptionError, match=r'pip install "glioseg\[track\]"'):
        require_tensorboard()
