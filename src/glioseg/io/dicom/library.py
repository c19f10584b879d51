"""pydicom, imported where it is needed, silent, and with its absence answered in a sentence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from glioseg.errors import OptionError


def library(name: str) -> ModuleType:
    """A library of the extra ``dicom``.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise OptionError(
            "DICOM needs libraries that are not installed",
            found=f"no {name.partition('.')[0]}",
            remedy="Install them: pip install 'glioseg[dicom]'",
        ) from error


@contextmanager
def silenced() -> Iterator[None]:
    """What pydicom says of odd headers is kept to itself: it quotes them, names of patients included."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
