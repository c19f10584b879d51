"""What a run was made of: data, split, network, recipe, machine, and how its words are to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from glioseg.errors import plural
from glioseg.evaluation.conventions import CONVENTIONS
from glioseg.evaluation.protocol import CURVES, INTERVAL_METHOD, LEVEL, SURFACES, Evaluation
from glioseg.evaluation.score import EMPTY_RULES
from glioseg.report.figures.architecture import architecture
from glioseg.report.figures.views import CONVENTION
from glioseg.report.html import RESEARCH_ONLY, Block, Cell, Code, Column, Listed, Prose, Section, Table, saved_picture
from glioseg.report.parts.run_words import METRIC_WORDS, NOTHING, duration, part_word, region_words
from glioseg.report.run_facts import (
    FiguresT,
    NetworkFacts,
    PartCounts,
    RunFacts,
    ScoredFacts,
    SegmentationFacts,
    SplitFacts,
    SplitUnit,
)

_UNITS: Mapping[SplitUnit, str] = {
    "patient": "patient: all cases, time points and known copies of a patient are in one part",
    "slice": "slice: each slice was a case of its own, so that one patient's slices are in several parts",
    "picture": "picture: the patients are not known; copies of a picture are in one part",
    "case": "case: the patients are not known; copies of a case are in one part",
}


def data(facts: RunFacts) -> Section:
    """The cohort and its division."""
    blocks: list[Block] = [Listed((*_data_items(facts), *split_items(facts.split))), _split_table(facts)]
    if facts.split.unit == "slice":
        words = "Split by slice: slices of one patient lie in several parts, so every figure of this report leaks."
        blocks.insert(0, Prose(words, "error"))
    return Section("data", "Data and split", "", tuple(blocks))


def scored_data(facts: RunFacts) -> Section:
    """Data that was scored, and the networks that were."""
    about, cards = tuple(_data_items(facts)), [network.card for network in facts.networks]
    if len(cards) == 1:
        blocks: tuple[Block, ...] = (Listed((*about, *cards[0].facts)), _split_table(facts))
        return Section("data", "Data and network", "", blocks)
    listed = (Listed(card.facts, f"Network {number}.") for number, card in enumerate(cards, start=1))
    return Section("data", "Data and networks", "", (Listed(about), _split_table(facts), *listed))


def members(facts: ScoredFacts[FiguresT], together: Mapping[str, float | None]) -> Section:
    """Of several networks that were scored as one, the figures of each alone; nothing of one.

    Args:
        facts: with the figures of each network.
        together: those of all of them, under the same names.
    """
    if len(facts.networks) == 1:
        return Section("networks", "Networks", "", ())
    columns = (Column("Network", wide=True), *(Column(name, numeric=True) for name in together))
    rows = [("All together", together)]
    rows += [
        (f"{number}: {network.card.name}, {network.card.model_id}", network.figures)
        for number, network in enumerate(facts.networks, start=1)
    ]
    cells = tuple((Cell(name), *(_figure(figures.get(column)) for column in together)) for name, figures in rows)
    caption = "Probabilities are averaged; figures of each network alone are on the same cases."
    return Section("networks", "Networks together and alone", "", (Table(columns, cells, caption),))


def _figure(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(f"{value:.3f}", value)


def _data_items(facts: RunFacts) -> list[tuple[str, str]]:
    about = facts.data
    items = [("Cohort", about.cohort), ("Layout", about.layout), ("Modalities, in order", ", ".join(about.modalities))]
    if about.regions:
        items.append(("Regions", "; ".join(region_words(facts, name) for name in about.regions)))
    if about.scheme:
        items.append(("Label scheme", f"{about.scheme}: {about.labels}" if about.labels else about.scheme))
    return items + [("Assumed", words) for words in about.assumptions]


def split_items(split: SplitFacts) -> tuple[tuple[str, str], ...]:
    """How the cohort was divided, in words."""
    items = [("Split by", _UNITS[split.unit])]
    if split.fold is not None:
        items.append(("Fold", f"{split.fold[0]} of {split.fold[1]}"))
    items.append(("Seed of the split", "given as a file" if split.seed is None else str(split.seed)))
    if split.hash:
        items.append(("Hash of the split", split.hash))
    return tuple(items)


def _split_table(facts: RunFacts) -> Table:
    marked = facts.data.marked
    titles = (
        "Patients",
        "Cases",
        "Slices, prepared",
        f"With {marked}",
        "% of slices",
        f"{marked.capitalize()} voxels (%)",
    )
    columns = (Column("Part"), *(Column(title, numeric=True) for title in titles))
    rows = tuple((Cell(part_word(name)), *_counts(part)) for name, part in facts.split.parts.items())
    caption = f"With {marked}: slices whose reference marks at least one voxel. Voxels: of all slices, air included. "
    caption += (
        "Slices are those of the prepared images, which may be cropped, turned or resampled: results count every "
    )
    caption += "slice of the scans themselves."
    return Table(columns, rows, caption)


def _counts(part: PartCounts) -> tuple[Cell, ...]:
    whole = [Cell(f"{value:,}", value) for value in (part.n_patients, part.n_cases, part.n_slices)]
    n, share = part.n_marked_slices, part.marked_share
    with_any = NOTHING if n is None else Cell(f"{n:,}", n)
    percent = NOTHING if n is None or not part.n_slices else Cell(f"{100 * n / part.n_slices:.0f}", n / part.n_slices)
    voxels = NOTHING if share is None else Cell(f"{100 * share:.2f}", share)
    return (*whole, with_any, percent, voxels)


def network(facts: RunFacts, folder: Path) -> Section:
    """The network as a drawing and as a table."""
    about = facts.network
    if about is None or not about.levels:
        return Section("network", "Network", "", ())
    items = [("Network", about.name)]
    if about.n_parameters is not None:
        items.append(("Parameters", f"{about.n_parameters:,}"))
    items += list(about.facts.items())
    caption = "Drawn from the trained module. Above each level: its channels; below: the size of its grid. Boxes are "
    caption += "higher for larger grids and wider for more channels."
    figure = architecture(about.levels, about.outputs)
    picture = saved_picture(folder, "architecture", figure, "chart", title=about.name, caption=caption)
    table = [_level_table(about)] if any(level.name for level in about.levels) else []
    return Section("network", "Network", "", (picture, Listed(tuple(items)), *table))


def _level_table(network: NetworkFacts) -> Table:
    """One row per level."""
    kinds = {"input": "input", "down": "contracting", "up": "expanding", "head": "logits"}
    rows = tuple(
        (
            Cell(str(place), place),
            Cell(kinds[level.kind] + (", skip with attention gate" if level.attention else "")),
            Cell(level.name),
            Cell(f"{level.channels:,}", level.channels),
            Cell(" × ".join(map(str, level.size))),
        )
        for place, level in enumerate(network.levels)
    )
    columns = (Column("#"), Column("Path"), Column("Made of"), Column("Channels", numeric=True), Column("Grid"))
    return Table(columns, rows, "Each after those that feed it.", page_size=30)


def recipe(facts: RunFacts) -> Section:
    """What decided the training, word for word."""
    about = facts.recipe
    items = [("Recipe", about.name)]
    items += [(name, words) for name, words in (("About", about.about), ("After", about.after)) if words]
    items += [("Chosen where unclear", note) for note in about.notes]
    blocks: list[Block] = [Listed(tuple(items))]
    if about.text:
        blocks.append(Code(about.text, "recipe.toml of the run folder.", fold="Every setting, defaults written out"))
    return Section("recipe", "Recipe", "", tuple(blocks))


def methods(facts: RunFacts) -> Section:
    """What a paper would say of the run."""
    intro = "For a paper; methods.txt of the run folder holds the same, to be copied. Cite the data as its authors ask."
    return Section("methods", "Methods", intro, tuple(Prose(paragraph) for paragraph in facts.methods))


def machine(facts: RunFacts) -> Section:
    """Where the run was made, and how long it took."""
    time = facts.timing
    spent = [("Training", duration(time.training_s))] if time.training_s is not None else []
    if time.training_s is not None and facts.log:
        spent.append(("Per epoch", f"{duration(time.training_s / len(facts.log))}, validation included"))
    if time.images_per_s is not None:
        spent.append(("Training steps", f"{time.images_per_s:,.1f} images/s"))
    if time.evaluation_s is not None:
        spent.append(("Evaluation", duration(time.evaluation_s)))
    if time.peak_memory_mib is not None:
        spent.append(("Most memory", f"{time.peak_memory_mib / 1024:,.2f} GiB, evaluation included"))
    facts_of_machine = [(name.replace("_", " "), str(value)) for name, value in facts.environment.items()]
    blocks = [Listed(tuple(items)) for items in (spent, facts_of_machine) if items]
    return Section("machine", "Time and machine", "", tuple(blocks))


def protocol_items(evaluation: Evaluation) -> list[tuple[str, str]]:
    """How figures came about, in words."""
    options = evaluation.options
    convention = CONVENTIONS[options.convention]
    draws = plural(options.n_resamples, "draw")
    return [
        ("Unit", "case: each has the same weight in a mean, whatever the size of its regions"),
        ("Empty masks", f"rule {options.empty}: {EMPTY_RULES[options.empty]}"),
        ("Grid", "native, all slices; what a recipe leaves out is background"),
        ("Volumes", f"in {evaluation.volume_unit}"),
        ("Curves", CURVES),
        ("Surfaces", SURFACES),
        ("Lesions", convention.lesions.describe()),
        ("Convention", f"{options.convention}: {convention.follows}"),
        *(("Deviations", words) for words in convention.differs),
        *_unfit(evaluation),
        ("Intervals", f"{100 * LEVEL:.0f} %, {INTERVAL_METHOD}, {draws}, seed {options.seed}"),
    ]


def _unfit(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Metrics that say little of these cases, those alike of a region together."""
    for region, notes in evaluation.fitness.items():
        for words in dict.fromkeys(notes.values()):
            names = ", ".join(METRIC_WORDS.get(name, name) for name, note in notes.items() if note == words)
            yield f"Not fit for {region}", f"{names}: {words}"


def conventions(facts: SegmentationFacts) -> Section:
    """What the words of the report mean."""
    items = [("Use", RESEARCH_ONLY)]
    picked = "picked the best epoch" if facts.keep == "best" else "looked at after each epoch"
    if facts.headline is not None:
        items += protocol_items(facts.parts[facts.headline].evaluation)
    items += [
        ("Dice", "2 TP / (2 TP + FP + FN); TP, FP, FN: voxels found, falsely predicted, missed"),
        ("Parts", f"training: seen by the network; validation: {picked}; test: used once, at the end"),
        ("Colours", "reference red, prediction green, yellow where their outlines coincide"),
        ("Views", CONVENTION if facts.data.has_mm else "as published; the orientation is unknown"),
    ]
    return Section("conventions", "How to read this report", "", (Listed(tuple(items)),))
