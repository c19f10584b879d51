"""glioseg: brain-tumour segmentation in MRI with the U-Net family. For research use only.

    cohort = glioseg.read("kaggle_3m")
    run = glioseg.train("lgg", cohort, out="runs/lgg")
    result = glioseg.load(run).predict({"flair": "scan.nii.gz", …})

Names are resolved when they are first used, so that importing the package loads no library.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
_PLACES = {
    "glioseg.api.data": ("FolderCohort", "cache", "convert", "inspect", "phantom", "read", "split", "split_folds"),
    "glioseg.api.masks": ("score", "timeline"),
    "glioseg.api.models": ("Model", "calibrate", "export", "load", "models"),
    "glioseg.api.public": ("download", "public_sets"),
    "glioseg.api.ready": ("make_ready",),
    "glioseg.api.recipes": ("plan", "recipe", "recipe_names", "recipe_text", "settings"),
    "glioseg.api.runs": ("Run", "compare", "evaluate", "train", "verify"),
    "glioseg.api.studies": ("StudyPlan", "plan_study", "study", "study_names", "tune"),
    "glioseg.api.tools": ("demo", "doctor"),
    "glioseg.app.serve": ("serve",),
    "glioseg.cohorts.catalogue": ("PublicSet",),
    "glioseg.cohorts.reading.layout": ("Layout", "ReadOptions"),
    "glioseg.cohorts.reading.listing": ("Listing",),
    "glioseg.cohorts.splits.split": ("Split",),
    "glioseg.config": ("Recipe",),
    "glioseg.config.settings": ("Setting",),
    "glioseg.console": ("Reporter",),
    "glioseg.core": ("Case", "Cohort", "Grid", "Image", "LabelMap", "LabelScheme", "Source"),
    "glioseg.errors": ("GliosegError",),
    "glioseg.evaluation.masks": ("MaskPair",),
    "glioseg.evaluation.metric": ("ClassMetric", "RegionMetric"),
    "glioseg.inference.export": ("ExportResult",),
    "glioseg.inference.shipped": ("ShippedModel",),
    "glioseg.inference.uncertainty": ("Uncertainty", "UncertaintyOptions"),
    "glioseg.preparation.store": ("PreparedCohort",),
    "glioseg.runs.compare": ("CompareResult",),
    "glioseg.runs.demo": ("DemoResult",),
    "glioseg.runs.download": ("DownloadResult",),
    "glioseg.runs.inspect": ("InspectResult",),
    "glioseg.runs.manifest": ("Verification",),
    "glioseg.runs.plan": ("PlanResult",),
    "glioseg.runs.predict": ("PredictResult",),
    "glioseg.runs.ready": ("ReadyResult",),
    "glioseg.runs.score": ("ScoreResult",),
    "glioseg.runs.timeline": ("TimelineResult",),
    "glioseg.studies.options": ("StudyOptions",),
    "glioseg.studies.run": ("StudyResult",),
    "glioseg.studies.table": ("RunRecord",),
    "glioseg.studies.tune": ("TuneResult",),
    "glioseg.tasks.classify.predict": ("ClassPrediction",),
    "glioseg.tasks.confidence": ("Calibration",),
    "glioseg.tasks.prediction": ("CasePrediction",),
    "glioseg.tasks.scores": ("Scores",),
    "glioseg.tasks.segment.prediction": ("SegmentPrediction",),
    "glioseg.tasks.task": ("Task",),
}
"""Module -> the public names that stand in it."""
_MODULES = {name: module for module, names in _PLACES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name; __init__.pyi says what
    if name not in _MODULES:
        raise AttributeError(f"module 'glioseg' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
