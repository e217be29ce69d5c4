"""Rules that say which requests begin a trace."""

import pytest
from ansflow_instrumentation.configuration.sampling import RequestSampler, read_sampler_rules
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision
from opentelemetry.trace import SpanKind
from support.instrumented_service import StartService
from support.otlp_receiver import OtlpReceiver

RULES = {
    "ANSFLOW_TRACES_SAMPLER_RULES": "/checkout/*=1; GET /checkout/poll=0; POST /orders=0; GET /items/*=0"
}


@pytest.mark.parametrize(
    ("request_", "sampled"),
    [
        ("GET /checkout/cart", True),
        ("GET /checkout/poll", False),
        ("POST /checkout/poll", True),
        ("POST /orders", False),
        ("GET /orders", True),
        ("POST /orders/1", True),
    ],
)
def test_the_most_exact_rule_counts(request_: str, sampled: bool) -> None:
    """A method and a path count before a pattern; what no rule names is the other sampler's."""
    rules, problems = read_sampler_rules(RULES)
    assert problems == []
    sampler = RequestSampler(rules, ALWAYS_ON)
    method, _, path = request_.partition(" ")
    attributes = {"http.request.method": method, "url.path": path}
    result = sampler.should_sample(None, 1, request_, SpanKind.SERVER, attributes)
    assert result.decision is (Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP)


def test_a_ratio_is_a_ratio() -> None:
    """Of 10,000 traces at one tenth, about 1,000 are kept, by their id alone."""
    rules, _ = read_sampler_rules({"ANSFLOW_TRACES_SAMPLER_RULES": "*=0.1"})
    sampler = RequestSampler(rules, ALWAYS_ON)
    ids = range(0, 2**64, 2**64 // 10_000)
    decisions = [
        sampler.should_sample(None, trace_id, "GET", SpanKind.SERVER, {"url.path": "/"}).decision
        for trace_id in ids
    ]
    assert abs(decisions.count(Decision.RECORD_AND_SAMPLE) - 1000) <= 1


@pytest.mark.parametrize(
    "entry", ["orders=1", "/orders=2", "/orders=many", "/orders", "get /orders=1", "/or ders=1"]
)
def test_a_bad_rule_is_named(entry: str) -> None:
    """One sentence names the variable, the entry and what was expected; the others apply."""
    rules, problems = read_sampler_rules({"ANSFLOW_TRACES_SAMPLER_RULES": f"{entry}; *=1"})
    assert rules.values == {"*": 1.0}
    (problem,) = problems
    assert problem.startswith(f"ANSFLOW_TRACES_SAMPLER_RULES: {entry!r} is ignored; expected ")


def test_rules_hold_in_a_service(start: StartService, receiver: OtlpReceiver) -> None:
    """What a rule drops is no trace and is counted; what continues a sampled trace is one."""
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=RULES)
    for _ in range(3):
        service.get("/items/1")
        service.get("/pid")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    service.get("/items/1", headers={"traceparent": parent})
    service.stop()
    assert receiver.server_spans() == {"GET /pid": 3, "GET /items/{item_id}": 1}
    assert receiver.requests_counted() == {"/pid": 3, "/items/{item_id}": 4}
