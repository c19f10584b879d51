"""What is in a cohort: its description, and the slices worth showing."""
