"""What the table of a training says of the time that is left."""

from __future__ import annotations

import pytest

from glioseg.runs.progress_table import ProgressTable
from glioseg.tasks.task import LogColumns
from glioseg.training.log import LogRow


@pytest.mark.parametrize(
    ("max_minutes", "elapsed_s", "expected"),
    [
        (None, 50.0, "1:23:15"),  # two of 1,001 steps in 10 s: 999 at 5 s each
        (5.0, 60.0, "0:04:00"),
        (5.0, 301.0, "0:00:00"),
    ],
)
def test_a_limit_of_time_is_what_is_left(
    max_minutes: float | None,
    elapsed_s: float,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr("glioseg.runs.progress_table.time.monotonic", lambda: next(clock))
    table = ProgressTable(LogColumns(), quiet=False, epochs=100, max_minutes=max_minutes)
    table.on_step(1, 1000)
    table.on_step(2, 1001)
    table.on_epoch(LogRow(epoch=0, train_loss=1.0, learning_rate=1e-3, elapsed_s=elapsed_s))
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"  {expected}")
