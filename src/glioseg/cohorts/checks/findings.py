"""Many findings, told so that a person reads them: errors first, many alike as one."""

from __future__ import annotations

from collections.abc import Iterable

from glioseg.core import Finding, FindingKind, Severity
from glioseg.errors import name_some

_ORDER: tuple[Severity, ...] = ("error", "warning", "note")
_TOO_MANY = {"error": 50, "warning": 10, "note": 3}
"""More findings of one kind than these become one with a count; errors are named as long as anybody would read them."""


def gathered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once, errors first, in the order in which they were found.

    More than a few findings of one severity and kind about single cases become one about the cohort, which counts and
    names them and quotes the first.
    """
    alike: dict[tuple[Severity, FindingKind, bool], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        alike.setdefault((finding.severity, finding.kind, finding.case is None), []).append(finding)
    shown: list[Finding] = []
    for (severity, kind, is_of_cohort), group in alike.items():
        if is_of_cohort or len(group) <= _TOO_MANY[severity]:
            shown += group
        else:
            shown.append(Finding(severity, kind, _summary(group)))
    return tuple(sorted(shown, key=lambda finding: _ORDER.index(finding.severity)))


def _summary(group: list[Finding]) -> str:
    cases = list(dict.fromkeys(finding.case for finding in group))
    messages = {finding.message for finding in group}
    if len(messages) == 1:
        return f"{group[0].message} ({len(cases)} cases: {name_some(cases)})"
    return f"{len(cases)} cases ({name_some(cases)}); the first of them: {group[0].message}"
