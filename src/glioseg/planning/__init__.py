"""Rules that propose a recipe for a cohort and a machine."""
