"""Write ``docs/models.md``, the page of the shipped networks, from the cards in their bundles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS
from glioseg.inference.bundle import WEIGHTS, read_info
from glioseg.inference.card import Card, Figure
from glioseg.inference.shipped import PREFIX, SHIPPED, ShippedModel
from glioseg.runs.model_card import trust_lines
from glioseg.tasks.skull import TRAINING_HEADS

PAGE = Path(__file__).parent / "models.md"
_TITLES = {name: metric.title for name, metric in (*REGION_METRICS.items(), *CLASS_METRICS.items())}
_HEAD = """# Networks that come with glioseg

`glioseg predict model:NAME SCANS --out masks` needs no training data and no training; `glioseg models` lists the
networks below, and `glioseg.load("model:NAME")` loads one in Python. They are for research only. No figure here says
how well they do on your scans; where you have masks, `glioseg evaluate model:NAME --data SCANS` measures it.

This page is made from the model cards in the bundles by `docs/make_models_page.py`; its figures are read from
evaluations.

"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for model in SHIPPED.values() for line in _section(model))]).rstrip() + "\n"


def _section(model: ShippedModel) -> Iterator[str]:
    info, card = read_info(model.folder), model.card()
    wheel = model.distribution
    megabytes = (model.folder / WEIGHTS).stat().st_size / 1e6
    yield from (f"## `{PREFIX}{model.name}`", "", card.about, "")
    picture = f"images/model-{model.name}.png"
    if (PAGE.parent / picture).exists():  # scans of other sets are not passed on
        yield from (f"![{model.name}: best, median and worst cases, reference green, prediction red]({picture})", "")
    yield f"- **Input:** {', '.join(info.modalities)}" + (
        "" if info.skull is None else f", of {TRAINING_HEADS[info.skull]}"
    )
    yield f"- **Output:** {', '.join(info.classes or info.regions)}"
    yield f"- **Licence:** {card.licence}"
    yield f"- **Where:** in `{wheel}`, {megabytes:.1f} MB, model id `{info.model_id}`"
    yield f"- **Intended use:** {card.intended_use}"
    yield f"- **How it was made:** {card.protocol}"
    yield "- **Limits:**"
    yield from (f"    - {limit}" for limit in card.limits)
    yield from ("", *_data(card), "", *_figures(card.figures))
    trust = list(trust_lines(info))
    yield from (("**How far its masks can be trusted.** " + trust[0], *trust[1:], "") if trust else ())
    yield from (f"- {reference}" for reference in card.references)
    yield ""


def _data(card: Card) -> Iterator[str]:
    yield from ("| data | role | patients or pictures | licence | digest |", "|---|---|---|---|---|")
    for data in card.data:
        count = "" if data.n_patients is None else f"{data.n_patients:,}"
        digest = f"`{data.digest[:12]}`" if data.digest else ""
        terms = f"{data.licence}. {data.terms}" if data.terms else data.licence
        yield f"| {data.name} | {data.role} | {count} | {terms} | {digest} |"


def _figures(figures: tuple[Figure, ...]) -> Iterator[str]:
    yield from ("| scored on | region or class | figure | 95 % interval | cases | note |", "|---|---|---|---|---|---|")
    for figure in figures:
        interval = "" if figure.ci95 is None else f"{figure.ci95[0]:.3f} – {figure.ci95[1]:.3f}"
        count = "" if figure.n_cases is None else f"{figure.n_cases:,}"
        what = f"{_TITLES.get(figure.metric, figure.metric)} {figure.value:.3f}"
        yield f"| {figure.data}, {figure.part} | {figure.of} | {what} | {interval} | {count} | {figure.note} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
