"""Settings and records: checked when they are made, never changed afterwards."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from glioseg.errors import OptionError


class Frozen(BaseModel):
    """Values by name. Unknown names, infinite numbers and changes in place are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
