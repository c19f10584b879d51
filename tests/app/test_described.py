"""The calls, asked at random within their description: none fails, and every answer is as described."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

from tests.app.conftest import BASE, Served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_EXAMPLES = 10
_LISTENS = "/api/events"
"""Does not end by itself."""
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_call_fails_and_every_answer_is_as_described(idle: Served) -> None:
    description = idle.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    operations: list[Any] = [each.ok() for each in schema.get_all_operations()]  # type: ignore[union-attr]
    asked = [operation for operation in operations if operation.path != _LISTENS]
    assert len(asked) > 15
    statuses: set[int] = set()
    for operation in asked:

        @_SETTINGS
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = idle.client.request(**_request(case))
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=_CHECKS)

        ask()
    assert {200, 404, 422} <= statuses
    assert max(statuses) < 500


def _request(case: Any) -> dict[str, Any]:
    """What schemathesis would send, sent by our client."""
    sent = case.as_transport_kwargs(base_url=BASE)
    names = ("method", "url", "headers", "params", "json", "data", "files")
    prepared = requests.Request(**{name: sent.get(name) for name in names}).prepare()
    headers = {name: value for name, value in prepared.headers.items() if name.lower() == "content-type"}
    return {"method": case.method, "url": prepared.url, "headers": headers, "content": prepared.body or b""}
