"""A model card made from a run, and ``MODEL_CARD.md`` beside a bundle, in the form that Hugging Face's hub reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from glioseg.config import Recipe
from glioseg.evaluation.conformal import share_words
from glioseg.evaluation.further import DETECTABLE, UNTESTED, power_words
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.card import Card, DataFacts, Figure, GroupFigure
from glioseg.inference.confidence import record_of
from glioseg.io.files import write_text
from glioseg.report.html import RESEARCH_ONLY
from glioseg.runs.changed import data_digest
from glioseg.runs.methods import Methods
from glioseg.tasks.data import TrainingData
from glioseg.tasks.predicted import unseen_words
from glioseg.tasks.skull import TRAINING_HEADS

CARD_FILE = "MODEL_CARD.md"


def card_of_run(
    recipe: Recipe,
    data: TrainingData,
    methods: Methods,
    figures: Sequence[Figure],
    subgroups: Sequence[GroupFigure] = (),
) -> Card:
    """What a run says of its network: the parts that nobody has to write."""
    cohort, split = data.cohort.name, data.split
    digest = data_digest(data.prepared.files)
    parts = (
        DataFacts(name=f"{cohort}, {name} part", role=role, n_patients=len(getattr(split, name)), digest=digest)
        for name, role in (("train", "training"), ("val", "validation"), ("test", "test"))
        if getattr(split, name)
    )
    limits = [unseen_words(recipe.name, cohort)]
    if split.unit == "slice":
        limits.append("The split was by slice: slices of one patient lie in several parts, so the figures flatter it.")
    if not split.test:
        limits.append("There was no test part: the figures are of the validation part, on which choices were made.")
    return Card(
        name=recipe.name,
        about=recipe.about or f"A network trained on {cohort}.",
        intended_use="research on data like those it was trained on",
        data=tuple(parts),
        protocol="\n\n".join(methods.paragraphs),
        figures=tuple(figures),
        subgroups=tuple(subgroups),
        limits=tuple(limits),
        references=methods.references,
    )


def write_card(folder: Path, info: BundleInfo) -> None:
    """Write ``MODEL_CARD.md`` beside a bundle that has a card; one without has nothing to say.

    Raises:
        FileError: the folder cannot be written to.
    """
    if info.card is not None:
        write_text(folder / CARD_FILE, card_markdown(info, info.card))


def card_markdown(info: BundleInfo, card: Card) -> str:
    """A card as Markdown, with the header that Hugging Face's hub reads [1].

    References:
        [1] Mitchell M et al. Model cards for model reporting. FAT* 2019; huggingface.co/docs/hub/model-cards.
    """
    return "\n".join(_lines(info, card)).rstrip() + "\n"


def _lines(info: BundleInfo, card: Card) -> Iterator[str]:
    task = "image-classification" if info.task == "classify" else "image-segmentation"
    yield from (
        "---",
        "library_name: glioseg",
        f"pipeline_tag: {task}",
        "tags:",
        "- medical",
        "- brain-tumour",
        "- mri",
    )
    yield from ("---", "", f"# {card.name}", "", card.about, "", RESEARCH_ONLY, "")
    yield from ("## What it takes and gives", "")
    yield f"- Takes: {', '.join(info.modalities)}" + ("" if not info.modality_sets else ", or one of these sets alone:")
    yield from (f"  - {', '.join(names)}" for names in info.modality_sets)
    yield f"- Gives: {', '.join(info.classes or info.regions)}"
    if info.skull is not None:
        yield f"- Trained on: {TRAINING_HEADS[info.skull]}"
    yield from (f"- Model id: `{info.model_id}`", f"- Weights: SHA-256 `{info.weights}`")
    yield f"- Licence: {card.licence or 'not stated by whoever trained it'}"
    yield from (f"- Intended use: {card.intended_use or 'not stated'}", "")
    yield from _section("Limits", [f"- {limit}" for limit in card.limits])
    yield from _section("Data", list(_data(card)))
    yield from _section("Figures", list(_figures(card)))
    yield from _section("Subgroups", list(_subgroups(card)))
    yield from _section("How far its masks can be trusted", list(trust_lines(info)))
    yield from _section("How it was made", [card.protocol] if card.protocol else [])
    yield from _section("References", [f"- {reference}" for reference in card.references])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from (f"## {title}", "", *lines, "")


def _data(card: Card) -> Iterator[str]:
    if card.data:
        yield from ("| data | role | patients or pictures | licence | SHA-256 |", "|---|---|---|---|---|")
    for data in card.data:
        count = "" if data.n_patients is None else f"{data.n_patients:,}"
        terms = ". ".join(part for part in (data.licence, data.terms) if part)
        yield f"| {data.name} | {data.role} | {count} | {terms} | {f'`{data.digest}`' if data.digest else ''} |"


def trust_lines(info: BundleInfo) -> Iterator[str]:
    """The fitted confidence of a network that segments, as Markdown; nothing where nobody fitted it."""
    record = record_of(info) if info.regions else None
    if record is None:
        return
    them, risk, level = f"{record.counted}s", share_words(record.risk), share_words(record.level)
    fitted_on = f"{record.fitted_on} ({record.cases_words})"
    yield f"The confidence was fitted on {fitted_on}; `predict --uncertainty` reports it for each mask. A confidence"
    yield f"below {record.dice.low:.2f} is called low. Cautious masks promise to miss at most {risk} of a"
    yield f"region on average over {them}; intervals promise to hold {level} of the volumes."
    yield from ("", f"| confidence checked on | {them} | rank correlation with the Dice | risk over coverage |")
    yield "|---|---|---|---|"
    for check in record.checks:
        areas = f"area {check.area:.3f} (best order {check.area_best:.3f}, no order {check.area_chance:.3f})"
        yield f"| {check.on} | {check.n_patients:,} | {check.correlation_words} | {areas} |"
    yield from ("", "| region | temperature | ECE before, after | cautious threshold | missed | volumes held |")
    yield "|---|---|---|---|---|---|"
    for name, region in record.regions.items():
        ece = "" if region.ece is None else f"{region.ece[0]:.2e}, {region.ece[1]:.2e}"
        limit = f"too few {them}" if region.risk_threshold is None else f"{region.risk_threshold:.3g}"
        shares = " | ".join("" if share is None else f"{share:.1%}" for share in (region.missed, region.covered))
        yield f"| {name} | {region.temperature:.2f} | {ece} | {limit} | {shares} |"
    yield from ("", f"ECE: over all voxels, of {them} that were left out in turn or not used for the fit. Missed and")
    yield f"held: means over random halves of the {them}; one half makes the promise, the other checks it."


def _subgroups(card: Card) -> Iterator[str]:
    """Where it fails, and how little small groups say."""
    if not card.subgroups:
        return
    yield UNTESTED
    words = power_words((each.fact, each.group, each.n_patients) for each in card.subgroups)
    yield from (words,) if words else ()
    yield from ("", "| part | of | fact | group | patients | mean Dice | 95 % interval | detectable |")
    yield "|---|---|---|---|---|---|---|---|"
    for each in card.subgroups:
        mean, detectable = ("" if value is None else f"{value:.3f}" for value in (each.value, each.detectable))
        interval = "" if each.ci95 is None else f"{each.ci95[0]:.3f} to {each.ci95[1]:.3f}"
        what = f"{each.part} | {each.of} | {each.fact} | {each.group} | {each.n_patients:,}"
        yield f"| {what} | {mean} | {interval} | {detectable} |"
    yield from ("", DETECTABLE)


def _figures(card: Card) -> Iterator[str]:
    if card.figures:
        yield from ("| scored on | part | of | figure | 95 % interval | cases | |", "|---|---|---|---|---|---|---|")
    for figure in card.figures:
        interval = "" if figure.ci95 is None else f"{figure.ci95[0]:.3f} to {figure.ci95[1]:.3f}"
        count = "" if figure.n_cases is None else f"{figure.n_cases:,}"
        what = f"{figure.metric} {figure.value:.3f}"
        yield f"| {figure.data} | {figure.part} | {figure.of} | {what} | {interval} | {count} | {figure.note} |"
