"""Is a cohort sound? Every voxel looked at once, and copies found."""
