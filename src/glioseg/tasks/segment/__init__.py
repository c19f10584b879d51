"""Regions of each voxel."""
