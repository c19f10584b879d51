"""Cohort -> arrays that a network can eat, cached on disk, and the way back to the native grid."""
