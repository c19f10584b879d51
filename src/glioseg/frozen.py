"""Settings and records: checked when they are made, never changed afterwards."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from glioseg.errors import OptionError


class Frozen(BaseModel):
    """Values by name. Names that it does not know are refused, and so is changing one in place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever somebody sets
        """Refuse, in words.

        Raises:
            OptionError: always.
        """
        raise OptionError(
            f"{type(self).__name__} is not changed once it is made",
            found=f"{name} = {value!r}",
            remedy='Give changes where it is made, as in `glioseg.recipe("lgg", {"train.epochs": 20})`',
        )
