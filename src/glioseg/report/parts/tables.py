"""Tables and key figures of a cohort's report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.summary import CaseSummary
from glioseg.core import SeriesRow, Severity
from glioseg.errors import plural
from glioseg.faces import on_command_line
from glioseg.report import style
from glioseg.report.html import Block, Cell, Column, Listed, Prose, Section, Table, Tile, Tone
from glioseg.report.parts.words import BRAIN, MOST_ROWS, grid_words, left_out, tumour_sizes

_TONES: Mapping[str, Tone] = {"error": "error", "warning": "warning", "note": "note"}
_RANK = {"error": 0, "warning": 1, "note": 2}
_UNKNOWN = Cell("–", -1.0)
_NOTHING = frozenset({"", "–", "unknown", "0"})


def tiles(about: CohortDescription) -> tuple[Tile, ...]:
    """The key figures."""
    severities = Counter(finding.severity for finding in about.findings)
    worst: Tone = "error" if severities["error"] else "warning" if severities["warning"] else "good"
    row = [] if about.categories else [Tile("Patients", f"{len(about.patients):,}")]
    row.append(Tile("Cases", f"{len(about.cases):,}"))
    if about.categories:
        row.append(Tile("Classes", f"{len(about.categories):,}", ", ".join(about.categories)))
    if about.n_slices > len(about.cases):
        row.append(Tile("Slices", f"{about.n_slices:,}"))
    counts = about.diagnoses
    counted = counts.positive_slices + counts.negative_slices
    if counted:
        share = 100 * counts.positive_slices / counted
        row.append(Tile("Slices with tumour", f"{counts.positive_slices:,}", f"{share:.0f} % of {counted:,}"))
    sizes, unit = tumour_sizes(about)
    if sizes:
        low, middle, high = (style.number(float(value)) for value in (min(sizes), np.median(sizes), max(sizes)))
        row.append(Tile(f"Median tumour, {unit}", middle, f"{low} to {high}" if len(sizes) > 1 else ""))
    row.append(Tile("Modalities", f"{len(about.modalities)}", ", ".join(about.modalities)))
    note = _counted(severities) if about.findings else "nothing to report"
    row.append(Tile("Findings", f"{len(about.findings):,}", note, worst))
    return tuple(row)


def findings(about: CohortDescription) -> Section:
    """What is wrong or odd, the worst first."""
    ordered = sorted(about.findings, key=lambda finding: (_RANK[finding.severity], finding.kind, finding.case or ""))
    rows = tuple(
        (
            Cell(finding.severity, _RANK[finding.severity], _TONES[finding.severity]),
            Cell(finding.kind.replace("-", " ")),
            Cell(finding.case or "all"),
            Cell(on_command_line(finding.message)),
        )
        for finding in ordered[:MOST_ROWS]
    )
    blocks: tuple[Block, ...] = (
        Prose("Nothing to report: every file was read, and there are no contradictions.", "good"),
    )
    if rows:
        columns = (Column("Severity"), Column("Kind"), Column("Case"), Column("What was found", wide=True))
        blocks = (Table(columns, rows, left_out(len(ordered)), page_size=12),)
    intro = "Error: a case cannot be used as it is. Warning: it can, but check it. Note: good to know."
    return Section("findings", "Findings", intro, blocks)


def contents(about: CohortDescription) -> Section:
    """What the folder was recognised as, and the grids in it."""
    items = [
        ("Layout", about.layout),
        ("Recognised because", about.reason),
        ("Label scheme", "none" if about.scheme is None else about.scheme.name),
    ]
    if about.scheme is not None:
        items.append(("Label values", about.scheme.describe()))
        items.append(("Defined by", about.scheme.source))
    if about.categories:
        items.append(("Classes", ", ".join(f"{name} ({plural(n, 'case')})" for name, n in about.categories.items())))
    have = Counter(name for case in about.cases for name in case.modalities)
    words = [f"{name} (in {have[name]:,} of {plural(len(about.cases), 'case')})" for name in about.modalities]
    items.append(("Modalities", ", ".join(words)))
    return Section("contents", "What is in the folder", "", (Listed(tuple(items)), *_grids(about)))


def _grids(about: CohortDescription) -> tuple[Table, ...]:
    """The grids of the cohort, those that differ in their number of slices only on one row; too many say nothing."""
    slices: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for case in about.cases:
        shape, spacing, orientation = grid_words(case)
        slices[shape.rpartition(" × ")[0] or shape, spacing, orientation].append(case.n_slices)
    if len(slices) > max(3, len(about.cases) // 4):
        return ()
    rows = []
    for (plane, spacing, orientation), counts in sorted(slices.items(), key=lambda item: -len(item[1])):
        low, high = min(counts), max(counts)
        n_slices = Cell(f"{low}" if low == high else f"{low} to {high}", low)
        rows.append((Cell(plane), n_slices, Cell(spacing), Cell(orientation), Cell(f"{len(counts):,}", len(counts))))
    titles = ("Columns × rows (X × Y)", "Slices (Z)", "Spacing (mm)", "Orientation")
    columns = (*(Column(title) for title in titles), Column("Cases", numeric=True))
    caption = "Grids in the cohort; the orientation names the directions in which X, Y, Z grow."
    return (Table(columns, tuple(rows), caption, page_size=8),)


def series(about: CohortDescription) -> Section | None:
    """What each series of DICOM studies was taken for; None where there are none."""
    if not about.series:
        return None
    of_several = len({row.case for row in about.series}) > 1
    titles = (
        *(["Case"] if of_several else []),
        "Series",
        "Plane",
        "Spacing (mm)",
        "Slices",
        "Agent",
        "Taken for",
        "Sure",
    )
    columns = (*(Column(title) for title in titles), Column("Why", wide=True))
    rows = tuple(
        (
            *([Cell(row.case)] if of_several else []),
            *(Cell(row.label), Cell(row.plane)),
            Cell("" if row.spacing_mm is None else " × ".join(f"{mm:.3g}" for mm in row.spacing_mm)),
            *(Cell(str(row.n_slices), row.n_slices), Cell(row.agent), Cell(_taken(row))),
            Cell(f"{row.confidence:.0%}" if row.taken_for else "", row.confidence),
            Cell(row.reason),
        )
        for row in about.series[:MOST_ROWS]
    )
    intro = (
        "Decided by how the images were acquired, and only then by the words of their description. "
        "For a prediction, another series can be chosen by its number."
    )
    return Section("series", "Series", intro, (Table(columns, rows, left_out(len(about.series))),))


def _taken(row: SeriesRow) -> str:
    if row.taken_for is None:
        return "–"
    return row.taken_for if row.is_used else f"{row.taken_for} (another is used)"


def case_table(about: CohortDescription) -> Section:
    """One row per case; columns in which nothing is known of any case are left out."""
    unit = tumour_sizes(about)[1]
    noted = Counter(finding.case for finding in about.findings)
    columns: list[tuple[Column, Callable[[CaseSummary], Cell]]] = [
        (Column("Case"), lambda case: Cell(case.case)),
        (Column("Patient"), lambda case: Cell(case.patient)),
        (Column("Class"), lambda case: Cell(case.category or "")),
        (Column("Voxels"), lambda case: Cell(grid_words(case)[0], float(np.prod(case.shape or (0,))))),
        (Column("Spacing (mm)"), lambda case: Cell(grid_words(case)[1])),
        (Column("Tumour slices", numeric=True), _tumour_slices),
        (Column(f"Tumour ({unit})", numeric=True), lambda case: _tumour(case, unit)),
        (Column("% of brain", numeric=True), _tumour_share),
        (Column("Missing"), lambda case: _missing(case, about)),
        (Column("Findings", numeric=True), lambda case: Cell(str(noted[case.case]), noted[case.case])),
    ]
    cases = about.cases[:MOST_ROWS]
    cells = [[make(case) for case in cases] for _, make in columns]
    places = [place for place in range(len(columns)) if any(cell.text not in _NOTHING for cell in cells[place])]
    places = [place for place in places if place != 1 or cells[1] != cells[0]]
    rows = tuple(tuple(cells[place][row] for place in places) for row in range(len(cases)))
    caption = f"Brain: {BRAIN}. "
    caption += left_out(len(about.cases), "cases.csv has all of them.")
    table = Table(tuple(columns[place][0] for place in places), rows, caption.strip())
    return Section("cases", "Cases", "Click a heading to sort.", (table,))


def _tumour_slices(case: CaseSummary) -> Cell:
    return (
        _UNKNOWN
        if case.tumour_voxels is None
        else Cell(f"{case.n_tumour_slices:,} of {case.n_slices:,}", case.n_tumour_slices)
    )


def _tumour(case: CaseSummary, unit: str) -> Cell:
    value = case.tumour_ml if unit == "ml" else case.tumour_voxels
    return _UNKNOWN if value is None else Cell(f"{value:,.1f}" if unit == "ml" else f"{value:,}", float(value))


def _tumour_share(case: CaseSummary) -> Cell:
    if case.tumour_voxels is None:
        return _UNKNOWN
    share = 100 * case.tumour_voxels / max(case.n_brain_voxels, 1)
    return Cell(f"{share:.2f}", share)


def _missing(case: CaseSummary, about: CohortDescription) -> Cell:
    names = [name for name in about.modalities if name not in case.modalities]
    names += ["reference"] if about.scheme is not None and not case.has_reference else []
    return Cell(", ".join(names))


def _counted(severities: Mapping[Severity, int]) -> str:
    names: tuple[Severity, ...] = ("error", "warning", "note")
    words = [plural(severities[name], name) for name in names if severities.get(name)]
    return ", ".join(words)
