"""Requests made from the service's own description, valid and not: each answer is one that the description names."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

VALID, INVALID = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
# A route without parameters has no invalid request.
TRIED = [
    ("/v1/studies", "POST", VALID),
    ("/v1/studies", "POST", INVALID),
    ("/v1/batches", "POST", VALID),
    ("/v1/batches", "POST", INVALID),
    ("/v1/models", "GET", VALID),
    ("/metrics", "GET", VALID),
    ("/v2/models/{model}", "GET", VALID),
    ("/v2/models/{model}/versions/{version}/infer", "POST", VALID),
    ("/v2/models/{model}/versions/{version}/infer", "POST", INVALID),
]


@pytest.mark.parametrize(("route", "method", "mode"), TRIED)
def test_requests_by_the_description_find_no_fault(serving, route, method, mode):
    operation = schemathesis.openapi.from_asgi("/openapi.json", serving().app)[route][method]
    statuses = set()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case):
        response = case.call()
        statuses.add(response.status_code)
        assert response.status_code < 500, response.text
        assert str(response.status_code) in operation.definition.raw["responses"], response.text
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"] and response.json()["code"]

    run()
    assert statuses
