"""The pages of studies and searches."""
