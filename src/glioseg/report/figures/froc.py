"""Chart of lesions found against false ones over thresholds of probability."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from glioseg.evaluation.froc import Froc
from glioseg.report import style


def froc(curves: Mapping[str, Froc]) -> Figure:
    """Share of the lesions that is found over false lesions per case, a curve for each region, a dot per threshold."""
    figure = style.new_figure(style.FULL_WIDTH, 4.2)
    axes = style.style_axes(figure.add_subplot(), x="false lesions per case", y="share of lesions found", grid="both")
    for number, (region, curve) in enumerate(curves.items()):
        colour = style.region_ink(region, number) if len(curves) > 1 else style.ACCENT
        label = style.plain(f"{region} ({curve.n_lesions})", 30)
        axes.plot(
            curve.false_per_case,
            curve.sensitivity,
            "o-",
            color=colour,
            linewidth=1.8,
            markersize=4,
            label=label,
            clip_on=False,
            zorder=3,
        )
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.04)
    style.style_legend(axes, columns=3, place="above")
    return figure
