"""What operators call a series of a scanner: free text in several languages, of which most words say nothing.

Names of files are read word by word, and any unknown word makes them none of a modality (``modalities``); here unknown
words are passed over, and prepositions and single letters too, since "with" may be with fat saturation.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from glioseg.core.modalities import kind_of_word

_WORD = re.compile(r"[a-z0-9]+|[^\W\d_a-z]+")
_OPERATION = re.compile(r"\b(?:post|pra|prae|pre)[\s_.-]*op\w*")
_PLUS = re.compile(r"\+\s*(?:c|km|gd|gado\w*|kontrast\w*|contrast\w*)?(?=[^a-z]|$)|(?<=[^a-z])c\s*\+")
_STAR = re.compile(r"t2w?\s*\*")
_AGENT = re.compile(
    r"ce|gd|gad|gado\w*|km|kmgabe|mitkm|kontrast\w*|contrast\w*|contrast[eo]|mdc|mezzo|civ|inj\w*|injecte\w*|"
    r"post(?!op)\w*|pos|nach|apres|despues|dopo|enhanced|enh|dotarem|gadovist|magnevist|prohance|multihance|omniscan|"
    r"контраст\w*|ку|усилени\w*|после|增强|增強|强化|造影|造影後|조영|조영증강"
)
_NO_AGENT = re.compile(
    r"pre|prae|pra|precontrast\w*|pregd|nat|nativ\w*|no|non|wo|without|ohne|vor|sin|sans|avant|senza|sem|antes|zonder|bez|"
    r"przed|unenhanced|plain|noncontrast\w*|nocontrast\w*|без|до|平扫|平掃|单纯|単純|조영전"
)
_WITHOUT = re.compile(r"\bw[/\\]o\b|\bo[/.]?\s?km\b|\bs/c\b|\bs/gad\w*|\bs/contraste?\b")
_NO_SCAN = re.compile(
    r"loc|localizer|localiser|localizador|survey|scout|topogram\w*|smartbrain|3plane|threeplane|planning|cal|calibration|"
    r"mip|minip|mpr|vr|sub|subtract\w*|subtraktion|difference|phase|pha|field\w*map|b1map|spectro\w*|svs|csi|press|"
    r"asset|reference|ref|screen\w*|report|results?"
)
_OTHERS = re.compile(
    r"tof|mra|mrv|angio\w*|venous|ven|swan|venobold|ciss|fiesta|stir|dir|psir|mp2rage|pd|pdw|trace\w*|tracew|diff\w*|"
    r"ep2d\w*|resolve|tensor|adc\w*|efgre|perf\w*|dsc|dce|asl|pasl|pcasl|fmri|hemo|qsm|mag|medic|flash2dt2\w*"
)
_TWO_WORDS = re.compile(r"dark[\s_-]?fluid|fluid[\s_-]?attenuated")


@dataclass(frozen=True)
class SequenceDescription:
    """What a description says.

    Args:
        weighting: ``t1``, ``t2w``, ``t2f``; ``other`` where it names something that is none of them; None where it
            says nothing.
        agent: whether it says that a contrast agent was given; None where it does not say.
        words: those of its words that say something, in their order; whatever else it holds is nobody's business.
    """

    weighting: str | None
    agent: bool | None
    words: tuple[str, ...]


def described(text: str) -> SequenceDescription:
    """What free text says of a sequence."""
    folded = _folded(text)
    kinds: dict[str, str] = {}
    for word in _WORD.findall(folded):
        kind = _meaning(word)
        if kind is not None:
            kinds.setdefault(word, kind)
    kind_set = set(kinds.values())
    agent = False if "no agent" in kind_set else True if "agent" in kind_set or "t1c" in kind_set else None
    if agent is None and "t1n" in kind_set:
        agent = False
    return SequenceDescription(_weighting(kind_set), agent, tuple(kinds))


def _folded(text: str) -> str:
    """Lower case, without accents, with signs and pairs of words that mean something spelt out."""
    plain = unicodedata.normalize("NFKD", text).lower()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter) or ord(letter) > 0x036F)
    plain = _OPERATION.sub(" ", _STAR.sub(" t2star ", _WITHOUT.sub(" without ", plain)))
    plain = re.sub(r"т(?=[12])", "t", plain)  # the Cyrillic letter of that look
    return _PLUS.sub(" contrast ", _TWO_WORDS.sub(" flair ", plain))


def _meaning(word: str) -> str | None:
    if _NO_SCAN.fullmatch(word) or _OTHERS.fullmatch(word):
        return "other"
    if _NO_AGENT.fullmatch(word):
        return "no agent"
    if _AGENT.fullmatch(word):
        return "agent"
    if word in ("tirm",):
        return "flair"
    kind = kind_of_word(word)
    return kind if kind in ("t1", "t1c", "t1n", "t2", "flair", "other") else None


def _weighting(kinds: set[str]) -> str | None:
    if "other" in kinds:
        return "other"
    if "flair" in kinds:
        return "t1" if "t1" in kinds and "t2" not in kinds else "t2f"
    if kinds & {"t1", "t1c", "t1n"}:
        return None if "t2" in kinds else "t1"
    return "t2w" if "t2" in kinds else None
