"""Scripts that write tiny look-alikes of the layouts, sound and damaged."""
