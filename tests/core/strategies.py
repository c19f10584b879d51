"""Random grids that scans could have."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from glioseg.core import Grid


@st.composite
def grids(draw: st.DrawFn, max_size: int = 9, oblique_degrees: float = 180.0) -> Grid:
    """Any shape, spacing from 0.3 to 7 mm, rotation, mirroring and offset."""
    shape = draw(st.tuples(*[st.integers(1, max_size)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 7.0)] * 3))
    angles = draw(st.tuples(*[st.floats(-oblique_degrees, oblique_degrees)] * 3))
    mirrored = draw(st.sampled_from((1.0, -1.0)))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 0] *= mirrored
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return Grid(shape, affine)


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int, int]) -> tuple[tuple[int, int], ...]:
    """Non-empty index ranges that may reach outside ``shape``."""
    ranges = []
    for n in shape:
        start = draw(st.integers(-4, n + 2))
        ranges.append((start, start + draw(st.integers(1, n + 4))))
    return tuple(ranges)
