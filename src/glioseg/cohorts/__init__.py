"""A folder as downloaded becomes a cohort: read, checked, described and split."""
