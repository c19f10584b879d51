"""Where a search for better settings looks: one range for each setting."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from glioseg.frozen import Frozen

Choice = bool | int | float | str


class Range(Frozen):
    """The values that one setting may take: numbers from ``low`` to ``high``, or one of ``choices``.

    Attributes:
        low: smallest value; where ``low``, ``high`` and ``step`` are all whole, so are all values.
        high: largest value.
        log: equal ratios are equally likely, as for learning rates.
        step: values are ``low`` plus multiples of it.
        choices: the only values, in place of ``low`` and ``high``.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(None, gt=0)
    choices: tuple[Choice, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        ends = (self.low, self.high)
        if self.choices is not None:
            if ends != (None, None) or self.log or self.step is not None:
                raise ValueError("a range has choices, or low and high, not both")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a range needs low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a range with equal ratios (log) is above 0 and has no step")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))
