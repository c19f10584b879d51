"""What the processes of one training do before it, each for itself or one for all, and how a fault of one ends all.

A process that was started alone does everything itself, and nothing here changes that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric

from glioseg.config import Recipe
from glioseg.errors import GliosegError, OptionError, ToldElsewhereError
from glioseg.runs.launch import make_fabric
from glioseg.runs.meeting import meet
from glioseg.runs.options import RunOptions
from glioseg.training.team import ALONE, LostProcessError, Team

T = TypeVar("T")

_SIGN_OF_LIFE_S = 0.5


@dataclass(frozen=True)
class Together:
    """The processes that were launched for one training.

    Args:
        team: among whom this one is.
        fabric: that joined them; None where this process is alone.
        group: over which they give each other signs of life.
    """

    team: Team = ALONE
    fabric: Fabric | None = None
    group: Any = None

    def each(self, do: Callable[[], T]) -> T:
        """What every process does for itself; the first one before the others, who then find what it has made.

        Args:
            do: may take any time, and may raise.

        Raises:
            GliosegError: of the first process that has one, in that process.
            ToldElsewhereError: in all others.
            LostProcessError: one of them is gone.
        """
        if self.fabric is None:
            return do()
        if self.team.is_first:
            done = self._tried(do)
            self._tried(_nothing)
            return done
        self._tried(_nothing)
        return self._tried(do)

    def first(self, do: Callable[[], T]) -> T:
        """What the first process does, and all are told; errors as of ``each``."""
        if self.fabric is None:
            return do()
        if self.team.is_first:
            return self.team.told(self._tried(do))
        self._tried(_nothing)
        return self.team.told(None)

    def require_same(self, what: str, value: str) -> None:
        """Refuse to go on where a value is not the same in all processes.

        Raises:
            OptionError: it is another one in some; a ToldElsewhereError in all but the first.
        """
        said = self.team.gathered((self.team.name, value))
        others = [name for name, theirs in said if theirs != said[0][1]]
        if not others:
            return
        error = OptionError(
            f"the processes of this training differ in {what}",
            found=f"another one in {', '.join(others)}",
            expected=f"that of {said[0][0]}",
            remedy="Give every machine the same data, settings and version of glioseg",
        )
        raise error if self.team.is_first else ToldElsewhereError(error.text, is_misuse=True)

    def _tried(self, do: Callable[[], T]) -> T:
        """Do something, however long it takes, and find out whether it went well everywhere."""
        result: list[T] = []
        error: GliosegError | None = None
        with self._watched():
            try:
                result.append(do())
            except GliosegError as raised:
                error = raised
        said = None if error is None else (error.text, isinstance(error, OptionError))
        for rank, fault in enumerate(self.team.gathered(said)):
            if fault is not None and rank != self.team.rank:
                raise ToldElsewhereError(fault[0], is_misuse=fault[1])
            if fault is not None and error is not None:
                raise error
        return result[0]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Within it the processes give each other signs of life; it ends once all have come to its end.

        So what waits for a process that works for hours is not mistaken for hanging, and what waits for one that has
        died, or been cut off, does not wait for ever.

        Raises:
            LostProcessError: one of them is gone.
        """
        watch = _Watch(self.team.size, self.group)
        watch.start()
        try:
            yield
        finally:
            watch.is_done.set()
        watch.join()
        if watch.error is not None:
            raise self.team.lost(watch.error) from watch.error


class _Watch(threading.Thread):
    """Tells the others, again and again, that this process is there, until all have done what they do."""

    def __init__(self, size: int, group: Any) -> None:  # noqa: ANN401 - torch's own type has no public name
        super().__init__(name="signs-of-life", daemon=True)
        self.is_done = threading.Event()
        self.error: RuntimeError | None = None
        self._size, self._group = size, group

    def run(self) -> None:
        """Count who has done; gloo says who is gone."""
        try:
            while True:
                n_done = torch.tensor(float(self.is_done.is_set()))
                dist.all_reduce(n_done, group=self._group)
                if int(n_done) == self._size:
                    return
                self.is_done.wait(_SIGN_OF_LIFE_S)
        except RuntimeError as error:
            self.error = error


@contextmanager
def joined(recipe: Recipe, options: RunOptions) -> Iterator[Together]:
    """This process with those that it was launched with, until the end of the block.

    Raises:
        OptionError: a machine has fewer GPUs than processes.
        LostProcessError: the others did not come.
    """
    if options.launched is None or options.launched.size == 1:
        yield Together()
        return
    patience_min = recipe.train.patience_minutes
    team = Team(options.launched.rank, options.launched.size, patience_min)
    if not team.is_first:
        logging.getLogger("glioseg").setLevel(logging.ERROR)  # what the first one has to say is said once
    fabric = make_fabric(recipe, options)
    try:
        if options.launched.by == "torchrun":
            meet(str(fabric.strategy.process_group_backend), fabric.device, patience_min)  # type: ignore[attr-defined]
        fabric.launch()
        group = dist.new_group(backend="gloo", timeout=timedelta(minutes=patience_min))
    except RuntimeError as error:
        raise _nobody_came(team, error) from error
    try:
        with team.watched():
            yield Together(team, fabric, group)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _nobody_came(team: Team, error: RuntimeError) -> LostProcessError:
    return LostProcessError(
        f"the processes of this training did not find each other: {team.name} stops",
        found=str(error).strip().splitlines()[0][:200],
        expected=f"{team.size} processes within {team.patience_min:g} min (train.patience_minutes)",
        remedy="See that all of them were started, that the address of the first machine (MASTER_ADDR, or "
        "`torchrun --rdzv-endpoint`) can be reached from the others, and, where a machine has several networks, that "
        "GLOO_SOCKET_IFNAME names the one between them",
    )


def _nothing() -> Any:  # noqa: ANN401 - None, in the place of any result
    """What the other processes do meanwhile."""
