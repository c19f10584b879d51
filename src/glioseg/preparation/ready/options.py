"""What is done to a study before a network sees it; nothing unless somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

from glioseg.errors import OptionError

ATLASES = ("mni",)


@dataclass(frozen=True)
class ReadyOptions:
    """What is asked for.

    Args:
        register: bring modalities that lie on different grids to one, rigidly, with voxels of 1 mm.
        brain_extract: remove what is not brain, where a skull is found.
        n4: even out the shading of the coil in each modality (N4).
        atlas: turn the head into the space of an atlas: ``mni`` (ICBM 2009a); registers modalities, too.
        mask_on: the modality on whose grid masks are written; None for the first of the network's list that was
            acquired rather than reformatted.

    Raises:
        OptionError: an atlas that there is not, or a grid to choose where nothing is registered.
    """

    register: bool = False
    brain_extract: bool = False
    n4: bool = False
    atlas: str | None = None
    mask_on: str | None = None

    def __post_init__(self) -> None:
        if self.atlas is not None and self.atlas not in ATLASES:
            raise OptionError("there is no such atlas", found=self.atlas, expected=" or ".join(ATLASES))
        if self.mask_on is not None and not self.registers:
            raise OptionError(
                "without registration all modalities share one grid, on which the mask lies",
                found=f"`--mask-on {self.mask_on}` alone",
                remedy="Add `--register`, or leave it out",
            )

    @property
    def registers(self) -> bool:
        """Whether modalities are brought to one grid."""
        return self.register or self.atlas is not None

    @property
    def asks(self) -> bool:
        """Whether anything is asked at all."""
        return self.registers or self.brain_extract or self.n4

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return dict(vars(self))


AS_IT_IS = ReadyOptions()
"""Nothing is done."""
