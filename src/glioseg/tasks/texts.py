"""The figures of a part in a few lines, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def regions_text(part: str, figures: Mapping[str, Any]) -> str:
    """The figures of a part as ``Evaluation.to_json`` gives them: a line per region."""
    n_cases, n_patients, rule = figures["n_cases"], figures["n_patients"], figures["protocol"]["empty"]
    lines = [f"{part}: {n_cases} cases of {n_patients} patients, native grid, empty masks: {rule}"]
    for region, metrics in figures["regions"].items():
        dice = metrics["dice"]
        interval = dice["case_ci95"]
        lines.append(
            f"  {region:<7} Dice mean {_figure(dice['case_mean'])}"
            + (f" (95 % {_figure(interval[0])} to {_figure(interval[1])})" if interval else "")
            + f", median {_figure(dice['case_median'])}, pooled {_figure(dice['pooled'])}"
            + f", precision {_figure(metrics['precision']['case_mean'])}"
            + f", recall {_figure(metrics['recall']['case_mean'])}"
        )
    return "\n".join([*lines, *_member_lines(figures.get("ensemble")), *_published_lines(figures.get("as_published"))])


def classes_text(part: str, figures: Mapping[str, Any]) -> str:
    """The figures of a classifier on one part, as ``ClassEvaluation.to_json`` gives them."""
    unit = figures["protocol"]["unit"]
    lines = [
        f"{part}: {figures['n_items']} {unit}s of {figures['n_cases']} cases, classes {', '.join(figures['classes'])}"
    ]
    lines += _class_lines(figures)
    if "by_case" in figures:
        lines += [f"  by case ({figures['by_case']['n_items']}):", *_class_lines(figures["by_case"])]
    block = figures.get("as_published")
    if block is not None:
        verdict = "comparable" if block["comparable"] else "not comparable"
        lines.append(f"  as published ({block['protocol']['source']}): {verdict}")
        lines += [
            f"    {figure['metric']} {_figure(figure['obtained'])} (published {figure['published']:.4f}, "
            f"{figure['where']})"
            for figure in block["figures"]
        ]
        lines += [f"    not comparable: {reason}" for reason in block["not_comparable"]]
    return "\n".join(lines)


def _member_lines(block: Mapping[str, Any] | None) -> Iterator[str]:
    for member in () if block is None else block["members"]:
        dice = ", ".join(f"{region} {_figure(value)}" for region, value in member["dice"].items())
        yield f"  alone   {member['recipe']}, {member['plane']}, {member['model_id']}: Dice mean {dice}"


def _class_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    for name in ("accuracy", "balanced_accuracy", "auc", "recall", "specificity", "precision", "f1", "ece"):
        figure = figures["metrics"][name]
        interval = figure["ci95"]
        spread = f" (95 % {_figure(interval[0])} to {_figure(interval[1])})" if interval else ""
        yield f"  {name:<18}{_figure(figure['value'])}{spread}"


def _published_lines(block: Mapping[str, Any] | None) -> Iterator[str]:
    if block is None:
        return
    source = block["protocol"]["source"]
    yield f"  as published ({source}): {'comparable' if block['comparable'] else 'not comparable'}"
    for figure in block["figures"]:
        values = ", ".join(
            f"{region} {_figure(value['obtained'])} (published {_figure(value['published'])})"
            for region, value in figure["regions"].items()
        )
        yield f"    {figure['metric']} by {figure['unit']}: {values}"
    for reason in block["not_comparable"]:
        yield f"    not comparable: {reason}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
