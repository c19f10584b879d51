"""Everything that differs between segmenting and classifying, behind one seam; see ``task.Task``."""
