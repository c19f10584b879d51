"""The grid: where the voxels of an image lie.

Axes are ``(X, Y, Z)``; the affine maps voxel indices to millimetres in RAS+ world coordinates (x grows to the patient's
right, y to anterior, z to superior) and refers to voxel **centres**, as NIfTI-1 defines it. Pictures (PNG, JPEG, TIFF)
have no millimetres: their grid has ``has_mm=False``, X = column, Y = row, Z = slice, and an unknown orientation.

Every operation below returns a new grid; the matching operations on arrays are in ``preparation.resample``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from glioseg.errors import GeometryError

Affine = npt.NDArray[np.float64]
Shape = tuple[int, int, int]
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open index ranges ``((x0, x1), (y0, y1), (z0, z1))``; may reach outside the grid, which pads."""

LPS_TO_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
"""(4, 4) DICOM's and ITK's coordinates, which grow to the left and to posterior, -> RAS+; it is its own inverse."""
LPS_TO_RAS.setflags(write=False)

ROUNDING = 0.05
"""How far corners of one grid may lie apart in two headers: a twentieth of a voxel moves nothing."""
EXACT = 1e-3
"""The same where every header is exact."""

PLANE_OF_AXIS = ("sagittal", "coronal", "axial")
"""What a section is called, by the world axis (R, A, S) that it is at right angles to."""

_CODES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
)
"""Letter of an anatomical direction -> (world axis, sign in RAS+)."""


def _is_last_row(row: Affine) -> bool:
    """(4,) 0 0 0 1 but for rounding; looked at without numpy where it is so exactly, as it mostly is."""
    return row.tolist() == [0.0, 0.0, 0.0, 1.0] or np.allclose(row, (0, 0, 0, 1))


@dataclass(frozen=True, eq=False)
class OtherForm:
    """The second place that a NIfTI file states for its voxels, its qform, where it is not that of its sform.

    Args:
        affine: (4, 4), the qform.
        sform_code: what the sform refers to, as NIfTI-1 numbers it.
        qform_code: the same of the qform.
    """

    affine: Affine
    sform_code: int
    qform_code: int


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and place of a voxel array.

    Args:
        shape: number of voxels along X, Y, Z; each at least 1.
        affine: (4, 4) voxel index -> RAS+ mm, voxel centres; copied and made read-only.
        has_mm: whether the affine is in millimetres (False for pictures).
        other_form: where other programs may take the voxels to be; kept so that what is written on this grid lies
            beside the scan in all of them. Grids are compared without it, and grids made of this one have none.

    Raises:
        GeometryError: a shape that is not three positive integers; an affine that is not a finite, invertible (4, 4)
            with the last row 0 0 0 1.
    """

    shape: Shape
    affine: Affine
    has_mm: bool = True
    other_form: OtherForm | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError("a grid needs three axes of at least one voxel", found=tuple(self.shape))
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not _is_last_row(affine[3]):
            raise GeometryError(
                "the affine of a grid must be a finite 4x4 matrix with the last row 0 0 0 1", found=affine.tolist()
            )
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise GeometryError("the affine of a grid cannot be inverted", found=affine.tolist())
        affine += 0.0  # one zero, not two: equal grids have equal hashes
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def of_pictures(cls, shape: Sequence[int]) -> Grid:
        """The grid of pictures stacked along Z: unit affine, no millimetres."""
        return cls((shape[0], shape[1], shape[2]), np.eye(4), has_mm=False)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Grid)
            and self.shape == other.shape
            and self.has_mm == other.has_mm
            and np.array_equal(self.affine, other.affine)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes(), self.has_mm))

    def __reduce__(self) -> tuple[object, ...]:
        """Go through the constructor in another process too: an unpickled array would be writable."""
        return Grid, (self.shape, np.array(self.affine), self.has_mm, self.other_form)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along X, Y, Z, in mm where ``has_mm``, else in pixels."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing in millimetres.

        Raises:
            GeometryError: the grid has no millimetres.
        """
        if not self.has_mm:
            raise GeometryError(
                "pictures carry no millimetres",
                expected="a format with a known voxel size (NIfTI, MetaImage, NRRD, DICOM)",
                remedy="Use figures in voxels instead",
            )
        return self.spacing

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres (1 ml = 1000 mm³); raises as ``spacing_mm`` does."""
        if not self.has_mm:
            _ = self.spacing_mm
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def orientation(self) -> str | None:
        """The anatomical directions in which X, Y, Z grow, such as ``RAS`` or ``LPS``; None for pictures."""
        if not self.has_mm:
            return None
        letters = {direction: code for code, direction in _CODES.items()}
        return "".join(letters[direction] for direction in self.axis_directions)

    @property
    def axis_directions(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """For X, Y, Z: the world axis (0 = R, 1 = A, 2 = S) each is closest to, and its sign.

        Each world axis is given once: axes are assigned from the best aligned one down, so that oblique grids have an
        unambiguous orientation too.
        """
        cosines = self.affine[:3, :3] / np.asarray(self.spacing)
        rest = np.abs(cosines)
        directions = {}
        for _ in range(3):
            world, voxel = np.unravel_index(int(np.argmax(rest)), rest.shape)
            directions[int(voxel)] = (int(world), 1 if cosines[world, voxel] > 0 else -1)
            rest[world, :] = -1.0
            rest[:, voxel] = -1.0
        return directions[0], directions[1], directions[2]

    def describe(self) -> str:
        """``240 x 240 x 155 voxels of 1 x 1 x 1 mm, LPS``; of pictures the shape alone."""
        if not self.has_mm:
            return f"{_times(self.shape)} pixels"
        return f"{_times(self.shape)} voxels of {_times(self.spacing)} mm, {self.orientation}"

    def difference(self, other: Grid, tolerance: float = ROUNDING) -> str | None:
        """What differs between two grids, in words; None where they are the same but for the rounding of headers.

        Affines are compared by where they put the outer corners of the grid, so that the thickness of a single slice
        counts too.

        Args:
            other: the grid that is held against this one.
            tolerance: how far corners may lie apart, as a share of the shortest edge of a voxel.
        """
        if self.shape != other.shape:
            return f"shape {_times(self.shape)} against {_times(other.shape)}"
        if self.has_mm != other.has_mm:
            return "one has millimetres, the other has not"
        apart = self.furthest_mm(other)
        if apart <= tolerance * min(self.spacing):
            return None
        if not np.allclose(self.spacing, other.spacing, rtol=1e-4, atol=1e-4):
            return f"spacing {_times(self.spacing)} against {_times(other.spacing)}"
        if self.orientation != other.orientation:
            return f"orientation {self.orientation} against {other.orientation}"
        return f"same shape, but the voxels lie up to {apart:.3g} apart"

    @property
    def forms_apart_mm(self) -> float:
        """How far the two places that the file states lie apart, at most; 0 where it states one."""
        if self.other_form is None:
            return 0.0
        return self.furthest_mm(Grid(self.shape, self.other_form.affine, self.has_mm))

    def furthest_mm(self, other: Grid) -> float:
        """How far the outer corners of two grids of one shape lie apart, at most, along an axis."""
        return float(np.abs(self.outer_corners() - other.outer_corners()).max())

    def outer_corners(self) -> npt.NDArray[np.float64]:
        """World coordinates (8, 3) of the corners of the grid's extent: half a voxel outside the outer centres."""
        indices = np.array(list(itertools.product(*((-0.5, n - 0.5) for n in self.shape))))
        world: npt.NDArray[np.float64] = indices @ self.affine[:3, :3].T + self.affine[:3, 3]
        return world

    def cropped(self, box: Box) -> Grid:
        """The part of the grid inside ``box``; a box that reaches outside pads."""
        start = [low for low, _ in box]
        affine = self.affine.copy()
        affine[:3, 3] = self.affine[:3, :3] @ np.asarray(start, dtype=np.float64) + self.affine[:3, 3]
        return Grid(_shape([high - low for low, high in box]), affine, self.has_mm)

    def permuted(self, axes: Sequence[int]) -> Grid:
        """The same voxels with axes in another order: new axis ``i`` is old axis ``axes[i]``."""
        if sorted(axes) != [0, 1, 2]:
            raise GeometryError("a permutation names each axis once", found=tuple(axes), expected="an order of 0, 1, 2")
        affine = self.affine.copy()
        affine[:, :3] = self.affine[:, list(axes)]
        return Grid(_shape([self.shape[axis] for axis in axes]), affine, self.has_mm)

    def flipped(self, axis: int) -> Grid:
        """The same voxels, counted from the other end of ``axis`` (0, 1 or 2)."""
        if axis not in (0, 1, 2):
            raise GeometryError("a grid has the axes 0, 1 and 2", found=axis)
        affine = self.affine.copy()
        affine[:, axis] = -self.affine[:, axis]
        affine[:3, 3] = self.affine[:3, 3] + self.affine[:3, axis] * (self.shape[axis] - 1)
        return Grid(self.shape, affine, self.has_mm)

    def resized(self, shape: Sequence[int]) -> Grid:
        """Another number of voxels over the same extent (outer voxel faces stay where they are)."""
        new = _shape(shape)
        if min(new) < 1:
            raise GeometryError("a grid needs three axes of at least one voxel", found=new)
        factor = np.asarray(self.shape, dtype=np.float64) / np.asarray(new, dtype=np.float64)
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * factor
        affine[:3, 3] = self.affine[:3, 3] + self.affine[:3, :3] @ ((factor - 1.0) / 2.0)
        return Grid(new, affine, self.has_mm)

    def with_orientation(self, codes: str) -> Grid:
        """The same voxels with X, Y, Z growing as nearly as they can in the directions of ``codes``, such as ``RAS``.

        Raises:
            GeometryError: pictures, whose orientation is unknown; codes that do not name each world axis once.
        """
        if not self.has_mm:
            raise GeometryError("the orientation of pictures is unknown", expected="a format with an affine")
        if len(codes) != 3 or {_CODES.get(code, (-1, 0))[0] for code in codes} != {0, 1, 2}:
            raise GeometryError("an orientation names each anatomical axis once", found=codes, expected="such as RAS")
        directions = [_CODES[code] for code in codes]
        worlds = [world for world, _ in self.axis_directions]
        grid = self.permuted([worlds.index(world) for world, _ in directions])
        for axis, (_, sign) in enumerate(directions):
            if grid.axis_directions[axis][1] != sign:
                grid = grid.flipped(axis)
        return grid

    def with_spacing(self, spacing_mm: Sequence[float]) -> Grid:
        """Voxels of the given size along X, Y, Z over the same extent; the number of voxels is rounded, so that their
        size comes as near to ``spacing_mm`` as the extent allows.

        Raises:
            GeometryError: pictures, which have no millimetres; sizes that are not above 0.
        """
        if min(spacing_mm) <= 0:
            raise GeometryError("voxels need a size above 0 mm", found=tuple(spacing_mm))
        pairs = zip(self.shape, self.spacing_mm, spacing_mm, strict=True)
        return self.resized([max(1, round(n * old / new)) for n, old, new in pairs])


def _shape(values: Sequence[int]) -> Shape:
    x, y, z = (int(value) for value in values)
    return x, y, z


def _times(values: Sequence[float]) -> str:
    return "x".join(f"{value:.6g}" for value in values)
