"""What is told of predictions, whatever the task: files, what stood in for what was missing, and the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Case
from glioseg.core.modalities import named_among
from glioseg.core.targets import TaskName
from glioseg.errors import listed, plural
from glioseg.faces import on_command_line
from glioseg.inference.backends import computed_by
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.card import Figure
from glioseg.inference.classifier import Classifier
from glioseg.inference.predictor import Predictor
from glioseg.report.predictions import NetworkCard
from glioseg.tasks.skull import TRAINING_HEADS

_FEW_PATIENTS = 50


def inputs_of(case: Case) -> dict[str, dict[str, Any]]:
    """Which file was read as which modality: modality -> its files, and their channel where they have several."""
    return {
        name: {
            "files": [str(path) for path in source.paths] if source.name is None else [source.name],
            "channel": source.channel,
        }
        for name, source in case.images.items()
    }


def stand_ins(lacking: Sequence[str], infos: Sequence[BundleInfo], present: Sequence[str]) -> dict[str, str]:
    """Modality that a case lacks -> what stands in for it: ``zero``, or another modality that is present."""
    filled: dict[str, str] = {}
    for info in infos:
        stand_in = named_among(info.prepare.missing, present)
        to_fill = (name for name in lacking if name in info.modalities and name not in filled)
        filled |= dict.fromkeys(to_fill, stand_in if stand_in in present else "zero")
    return filled


def filling_words(filled: Mapping[str, str], present: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of modalities that are missing, by what stands in for them, and of those that are ``present``
    and yet not shown, where a network can do with some sets of modalities alone.
    """
    said = []
    if unused := [name for name in filled if name in present]:
        are = "is" if len(unused) == 1 else "are"
        said.append(f"{listed(unused)} {are} given and not used: the network was not trained for what is given")
    for stand_in in dict.fromkeys(filled.values()):
        names = [name for name, filling in filled.items() if filling == stand_in and name not in present]
        if names:
            missing = f"{listed(names)} {'was' if len(names) == 1 else 'were'} missing"
            other = "nothing (zeros)" if stand_in == "zero" else stand_in
            said.append(f"{missing}, and {other} stands in: what is seen there best may be wrong")
    return tuple(said)


def measured_words(filled: Mapping[str, str], infos: Sequence[BundleInfo]) -> tuple[str, ...]:
    """How good a network is with the modalities that it was shown, where it lacks some: its figures of that set beside
    those of all, or that nobody measured it. Of several networks nothing is said.
    """
    if not filled or len(infos) > 1 or infos[0].card is None:
        return ()
    shown = tuple(name for name in infos[0].modalities if name not in filled)
    figures = infos[0].card.figures
    as_shown = [figure for figure in figures if set(figure.only) == set(shown)]
    if not as_shown:
        return (f"How good this network is with {listed(shown)} alone was not measured",)
    first = as_shown[0]
    comparable = [each for each in figures if _scored_alike(each, first)]
    all_shown = {each.of: each.value for each in comparable if not each.only}
    words = ", ".join(
        f"{each.value:.2f}"
        + (f" of {each.of}" if each.of else "")
        + (f" ({all_shown[each.of]:.2f})" if each.of in all_shown else "")
        for each in as_shown
        if each in comparable
    )
    beside = ", in brackets with all modalities" if all_shown else ""
    where = f"on {first.data}, {first.part}{beside}"
    return (f"With {listed(shown)} alone its {first.metric} is {words}, {where}",)


def _scored_alike(figure: Figure, other: Figure) -> bool:
    """Whether two figures are one metric of the same data, whatever was shown of it."""
    return (figure.data, figure.part, figure.metric) == (other.data, other.part, other.metric)


_KEPT: Mapping[TaskName, str] = {"segment": "dice", "classify": "accuracy"}
"""Task -> the metric by which it is told what a network keeps without modalities."""


def shown_as_zeros(infos: Sequence[BundleInfo], images: Sequence[npt.NDArray[np.floating]]) -> list[str]:
    """The modalities of networks that were missing or black, by the images (Z, C, Y, X) that each was shown."""
    blank = (
        name
        for info, shown in zip(infos, images, strict=True)
        for name, is_seen in zip(info.modalities, np.any(shown, axis=(0, 2, 3)).tolist(), strict=True)
        if not is_seen
    )
    return list(dict.fromkeys(blank))


def kept_share(lacking: Sequence[str], infos: Sequence[BundleInfo]) -> float | None:
    """The share of its Dice (of a classifier: accuracy) that a network keeps without some modalities, by the figures of
    its card: the mean over regions of one by that of the other, 1 at most.

    Of what was shown and nobody scored it is that of the best scored part. None where no part was scored, of networks
    without a card, and of several networks, whose mean nobody scored.
    """
    if not lacking:
        return 1.0
    if len(infos) > 1 or infos[0].card is None:
        return None
    shown = {name for name in infos[0].modalities if name not in lacking}
    scored = [figure for figure in infos[0].card.figures if figure.metric == _KEPT[infos[0].task]]
    whole = {(each.data, each.part, each.of): each.value for each in scored if not each.only}
    shares = []
    for only in {each.only for each in scored if each.only and set(each.only) <= shown}:
        alike = [each for each in scored if each.only == only and (each.data, each.part, each.of) in whole]
        full = sum(whole[each.data, each.part, each.of] for each in alike)
        shares += [sum(each.value for each in alike) / full] if full > 0 else []
    return min(1.0, max(shares)) if shares else None


def kept_words(words: str, kept: float | None, score: str) -> str:
    """What a confidence is that was multiplied by ``kept_share``.

    Args:
        words: what it was before.
        kept: the share; None where nobody measured it.
        score: of what it is the share, in words.
    """
    if kept is None:
        return "not stated: modalities were missing, and nobody measured how good the network is without them"
    if kept == 1:
        return words
    return f"{words}; times {kept:.2f}, the share of its {score} that the network keeps with what it was shown"


def terms_of(infos: Sequence[BundleInfo]) -> tuple[str, ...]:
    """On which terms each network that has a card may be used, in a sentence."""
    cards = [info.card for info in infos if info.card is not None and info.card.licence]
    return tuple(f"{card.name}: {card.licence}" for card in cards)


def facts_of_use(
    inputs: Mapping[str, Any],
    filled: Mapping[str, str],
    warnings: Sequence[str],
    model_id: str,
    infos: Sequence[BundleInfo],
    networks: Sequence[Predictor | Classifier],
) -> dict[str, Any]:
    """What the JSON beside each prediction says of its making: files, stand-ins, warnings, networks and libraries."""
    return {
        "inputs": dict(inputs),
        "filled": list(filled),
        "filled_with": dict(filled),
        "warnings": [on_command_line(words) for words in warnings],
        "model_id": model_id,
        "recipe": infos[0].name,
        "computed_by": sorted({computed_by(network.model, bf16=network.bf16) for network in networks}),
        "use": infos[0].use,
        "terms": list(terms_of(infos)),
    }


def network_cards(infos: Sequence[BundleInfo]) -> tuple[NetworkCard, ...]:
    """What pages say of networks, from their bundles."""
    return tuple(NetworkCard(info.name, info.model_id, _facts_of(info), _cautions(info)) for info in infos)


def _facts_of(info: BundleInfo) -> tuple[tuple[str, str], ...]:
    about = info.provenance
    items = [("Recipe", info.name), ("Model", info.model_id), ("Sees", ", ".join(info.modalities))]
    items.append(("Says", ", ".join(info.classes or info.regions)))
    if about.get("cohort") is not None:
        items.append(("Trained on", ", ".join(filter(None, (str(about["cohort"]), _taught_by(info))))))
    if isinstance(score := about.get("validation_score"), float):
        items.append(("Score on its own validation part", f"{score:.3f}"))
    if info.card is not None:
        items += [(name, words) for name, words in (("About", info.card.about), ("Terms", info.card.licence)) if words]
        items += [("Scored on", figure_words(figure)) for figure in info.card.figures if figure.n_cases != 1]
    if info.skull is not None:
        items.append(("Heads in training", TRAINING_HEADS[info.skull]))
    if about.get("written") is not None:
        items.append(("Written", f"{about['written']}, by glioseg {about.get('glioseg')}"))
    return tuple(items)


def _taught_by(info: BundleInfo) -> str:
    """How many patients taught a network, or pictures where these do not say whom they show; nothing if unknown.

    Bundles of before do not say what was counted, but a card gives no number of patients where there is none.
    """
    number = info.provenance.get("patients_trained_on")
    if not isinstance(number, int):
        return ""
    taught = [] if info.card is None else [data for data in info.card.data if data.role == "training"]
    all_counted = all(data.n_patients is not None for data in taught)
    return plural(number, str(info.provenance.get("counted", "patient" if all_counted else "picture")))


def figure_words(figure: Figure) -> str:
    """One figure of a card in a line, with its interval and, where modalities were hidden, what was shown."""
    interval = "" if figure.ci95 is None else f" (95 % {figure.ci95[0]:.2f} to {figure.ci95[1]:.2f})"
    what = " ".join(filter(None, (figure.of, figure.metric)))
    shown = f", {listed(figure.only)} alone" if figure.only else ""
    return f"{figure.data}, {figure.part}{shown}: {what} {figure.value:.2f}{interval}"


def _cautions(info: BundleInfo) -> tuple[str, ...]:
    about = info.provenance
    cohort, patients = about.get("cohort"), about.get("patients_trained_on")
    words = [unseen_words(info.name, str(cohort))] if cohort else []
    if isinstance(patients, int) and patients < _FEW_PATIENTS:
        words.append(f"{info.name} was trained on {_taught_by(info)}, which is few.")
    if info.card is not None:
        words += info.card.limits
    return tuple(dict.fromkeys(words))


def unseen_words(name: str, cohort: str) -> str:
    """What is to be said of every network, whoever trained it."""
    return (
        f"{name} was trained on {cohort} alone. On scans of other scanners, sequences, ages or diseases it "
        "may be wrong without any sign of it; glioseg evaluate tells how it does on yours."
    )
