"""Whatever its description allows, and what it does not, the API answers as described."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from headwater.api.app import describe
from headwater.api.routes import PREFIX

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    (path, method)
    for path, methods in describe()["paths"].items()
    for method in methods
    if path.startswith(PREFIX)
]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


def known(case):
    """The same request about a feature that exists."""
    if "feature_name" in (case.path_parameters or {}):
        case.path_parameters["feature_name"] = "x"
    if "version" in (case.path_parameters or {}):
        case.path_parameters["version"] = "1.0.0"
    if isinstance(case.body, dict) and "used_by_model" in case.body:
        case.body |= {"feature_name": "x", "feature_version": "1.0.0"}
    if case.query and "project" in case.query:
        del case.query["project"]


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_described(app, api, path, method, mode):
    api.create("x", owner="quant", tags=["momentum"])
    api.post("/features/x/versions", {"version": "1.1.0", "changelog": "more"})
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[path][method]

    @settings(
        max_examples=25,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def check(case, is_known):
        if mode is POSITIVE and is_known:
            known(case)
        refused = [negative_data_rejection] if mode is NEGATIVE else []
        case.call_and_validate(checks=[*CHECKS, *refused])

    check()
