"""The phantom cohort: synthetic glioma patients whose brains come from the ICBM 2009 average."""

from glioseg.cohorts.phantom.baseline import ThresholdBaseline, flair_and_tumour, threshold_baseline
from glioseg.cohorts.phantom.contrast import MODALITIES
from glioseg.cohorts.phantom.generate import PhantomOptions, PhantomPatient, generate, generate_patient

__all__ = [
    "MODALITIES",
    "PhantomOptions",
    "PhantomPatient",
    "ThresholdBaseline",
    "flair_and_tumour",
    "generate",
    "generate_patient",
    "threshold_baseline",
]
