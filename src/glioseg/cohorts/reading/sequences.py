"""What a series shows, told by how it was made, and only then by what it is called.

The bounds are those between which the usual protocols of brain tumours lie (EORTC-NBTS: T1 before and after contrast,
T2 and FLAIR) [1]; they divide weightings, and say nothing of quality.

References:
    [1] Ellingson BM et al. Consensus recommendations for a standardized Brain Tumor Imaging Protocol in clinical
        trials. Neuro-Oncology 17, 1188-1198, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

from glioseg.core.sequence_words import SequenceDescription, described
from glioseg.io.dicom.instance import Technique

_OF_CONTRAST = {"T1": "t1", "T2": "t2w", "FLUID_ATTENUATED": "t2f"}
_KNOWN_OTHERS = frozenset(
    {"DIFFUSION", "PERFUSION", "PROTON_DENSITY", "T2_STAR", "TOF", "STIR", "FLOW_ENCODED", "TAGGING"}
)
_DERIVED = frozenset(
    {"ADC", "FA", "TRACEW", "TENSOR", "SUBTRACTION", "MIP", "MINIP", "PROJECTION IMAGE", "PHASE MAP", "P"}
)
_PLANNING = frozenset({"LOCALIZER", "SURVEY", "SCOUT"})
UNTOLD = "nothing says that an agent was given"
_NAMES = {"t1": "T1", "t2w": "T2", "t2f": "FLAIR"}


@dataclass(frozen=True)
class Taken:
    """What a series was taken for.

    Args:
        modality: ``t1n`` ``t1c`` ``t2w`` ``t2f``; None where it is none of them, or nothing tells which.
        confidence: 0 to 1; 0 where it is none.
        why: in words.
        agent: whether a contrast agent was given; None where nothing says it.
    """

    modality: str | None
    confidence: float
    why: str
    agent: bool | None = None


@dataclass(frozen=True)
class _Weighting:
    """What the parameters say: ``t1``, ``t2w``, ``t2f``, ``other``, or None where they say nothing."""

    name: str | None
    why: str


def taken_for(technique: Technique) -> Taken:
    """What a series was taken for, how surely and why."""
    said = described(technique.description)
    refused = _refusal(technique)
    if refused is not None:
        return Taken(None, 0.0, refused, technique.has_agent)
    made = _by_parameters(technique)
    if made.name == "other" or (said.weighting == "other" and made.name != "t2f"):
        why = made.why if made.name == "other" else f"it is called {' '.join(said.words)}"
        return Taken(None, 0.0, why, technique.has_agent)
    if made.name is None and said.weighting is None:
        return Taken(None, 0.0, f"{made.why}, and its description says nothing", technique.has_agent)
    name, sure, why = _weighed(made, said)
    if name != "t1":
        return Taken(name, sure, why, technique.has_agent)
    return _with_agent(technique, said, sure, why)


def _refusal(technique: Technique) -> str | None:
    """Why pictures are no scan of ours, whatever their weighting."""
    kinds = set(technique.image_type)
    if kinds & _PLANNING:
        return "a localiser"
    if "MOSAIC" in kinds:
        return "slices tiled into one picture (a mosaic)"
    derived = sorted(kinds & _DERIVED)
    if derived:
        return f"made from other pictures ({', '.join(derived)})"
    return None


def _by_parameters(technique: Technique) -> _Weighting:
    """The weighting by Acquisition Contrast where it is said, else by TR, TE, TI and the kind of sequence."""
    if technique.contrast in _OF_CONTRAST:
        return _Weighting(_OF_CONTRAST[technique.contrast], f"its header says {technique.contrast}")
    if technique.contrast in _KNOWN_OTHERS:
        return _Weighting("other", f"its header says {technique.contrast}")
    if (technique.b_value or 0) > 0 or "EP" in technique.sequences:
        return _Weighting("other", "echo-planar, as diffusion and perfusion are")
    if "TOF" in technique.variants:
        return _Weighting("other", "a time-of-flight angiogram")
    te, tr = technique.echo_time_ms, technique.repetition_time_ms
    if te is None or tr is None:
        return _Weighting(None, "its header has no TE and TR")
    return _Weighting(_by_times(technique, te, tr), _times(technique))


def _by_times(technique: Technique, te: float, tr: float) -> str | None:
    ti = technique.inversion_time_ms
    if ti is not None:
        return _by_inversion(te, tr, ti)
    if technique.sequences == {"GR"}:
        return _by_gradient_echo(technique, te, tr)
    if te < 40 and tr < 1200:
        return "t1"
    if tr >= 1800:
        return "t2w" if te >= 60 else "other"
    return None


def _by_inversion(te: float, tr: float, ti: float) -> str | None:
    """FLAIR nulls water (long TI and TR); T1 preparations are shorter; STIR nulls fat."""
    if ti >= 1400 and te >= 60 and tr >= 4000:
        return "t2f"
    if 300 <= ti <= 1400 and te < 40:
        return "t1"
    return "other" if ti < 300 else None


def _by_gradient_echo(technique: Technique, te: float, tr: float) -> str | None:
    """Spoiled gradient echoes of short TE are T1-weighted; long TE is T2*, and high flip with short TR steady state."""
    if te >= 12:
        return "other"
    flip = technique.flip_angle
    if "SS" in technique.variants and "SP" not in technique.variants and flip is not None and flip > 30 and tr < 20:
        return "other"
    return "t1"


def _times(technique: Technique) -> str:
    """``TR 9000, TE 90, TI 2500 ms``."""
    times = {
        "TR": technique.repetition_time_ms,
        "TE": technique.echo_time_ms,
        "TI": technique.inversion_time_ms,
    }
    return f"{', '.join(f'{name} {value:.4g}' for name, value in times.items() if value is not None)} ms"


def _weighed(made: _Weighting, said: SequenceDescription) -> tuple[str, float, str]:
    """(weighting, confidence, why) of what parameters and description say; the parameters decide where they speak."""
    words = f"called {' '.join(said.words)}"
    if made.name is None:
        return str(said.weighting), 0.6, f"{words}; undecided by its parameters ({made.why})"
    if said.weighting is None:
        return made.name, 0.8, made.why
    if said.weighting == made.name:
        return made.name, 0.95, f"{made.why}; {words}"
    return made.name, 0.4, f"{made.why} are those of {_NAMES[made.name]}, though it is {words}"


def _with_agent(technique: Technique, said: SequenceDescription, sure: float, why: str) -> Taken:
    """T1 before or after contrast: by the header's agent, then by the description."""
    if technique.agent_later:
        return Taken("t1n", min(sure, 0.8), f"{why}; the agent was given after it", False)
    tag = technique.has_agent
    if tag is not None and said.agent is not None and tag != said.agent:
        words = "an agent, its description none" if tag else "no agent, its description one"
        return Taken("t1c" if tag else "t1n", min(sure, 0.4), f"{why}; the header names {words}", tag)
    if tag is not None:
        words = f"{'an' if tag else 'no'} agent in the header"
        return Taken("t1c" if tag else "t1n", min(sure, 0.9), f"{why}; {words}", tag)
    if said.agent is not None:
        words = f"{'with' if said.agent else 'without'} agent by its description"
        return Taken("t1c" if said.agent else "t1n", min(sure, 0.75), f"{why}; {words}", said.agent)
    return Taken("t1n", min(sure, 0.5), f"{why}; {UNTOLD}", None)
