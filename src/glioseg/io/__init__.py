"""Files <-> core types. The only place where conventions (axis order, LPS and RAS, mask values) convert."""

from glioseg.io.load import Voxels, load_image, load_labels, read_grid, read_sources

__all__ = ["Voxels", "load_image", "load_labels", "read_grid", "read_sources"]
