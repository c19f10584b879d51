"""The cases of a part scored one by one, here or on the workers of a cluster: the figures are the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from glioseg.console import Reporter, Step
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.task import AnyTask
from glioseg.workers.where import HERE, Lost, Where, ends, require_seen


def score_at(
    where: Where,
    task: AnyTask,
    opened: Callable[[], Any],
    predictor: Any,  # noqa: ANN401 - the task's own
    part: CohortPart,
    scoring: Scoring,
    step: Step,
    reporter: Reporter,
) -> Scores:
    """Score every case of a part.

    Args:
        where: it is done.
        task: of the network.
        opened: gives its predictor, in a process that has none; it must survive pickling.
        predictor: of this process.
        part: prepared already, in a folder that the workers see.
        scoring: how.
        step: called with (cases done, cases).
        reporter: told what workers say.

    Raises:
        GliosegError: a case cannot be scored.
        OptionError: the task scores all cases together, which no other place does.
    """
    if where is HERE:
        return task.score(predictor, part, scoring, step)
    n_cases = len(part.prepared.cases)
    scored: dict[int, Any] = {}
    for number, end in ends(where, partial(_scorer, task, opened, part, scoring), range(n_cases), reporter):
        if isinstance(end, Lost):
            raise end.error
        scored[number] = end
        step(len(scored), n_cases)
    return task.scores_of(predictor, part, [scored[number] for number in range(n_cases)], scoring)


def _scorer(
    task: AnyTask, opened: Callable[[], Any], part: CohortPart, scoring: Scoring, reporter: Reporter
) -> Callable[[int], Any]:
    """What scores cases by their numbers, in a process that must see what was prepared."""
    require_seen(part.prepared.index)
    predictor = opened()
    return lambda number: task.score_case(predictor, part, number, scoring)
