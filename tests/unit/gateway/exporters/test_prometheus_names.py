"""Names on the page: those that the SDK's own exporter, and a Collector, give the same instruments."""

import pytest
from ansflow_gateway.exporters.prometheus_names import Family, family, label
from ansflow_gateway.meters import business
from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.series import TableMeter
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry

UNITS = st.sampled_from(
    [
        "",
        "1",
        "%",
        "s",
        "ms",
        "By",
        "GBy",
        "{run}",
        "{run}/d",
        "By/s",
        "m/s",
        "1/s",
        "widgets",
        "Hz",
    ]
)
NAMES = st.from_regex(r"\A[a-z][a-z0-9_.\-/]{0,12}\Z") | st.sampled_from(
    ["a.total", "a.seconds", "a_seconds", "a..b", "a.s", "a.bytes.total"]
)


def sdk_family(declaration: Declaration) -> Family:
    """Say which family the SDK's exporter makes of an instrument."""
    registry = CollectorRegistry()
    provider = MeterProvider(
        metric_readers=[PrometheusMetricReader(True, registry=registry, scope_info_enabled=False)],
        shutdown_on_exit=False,
    )
    meter = provider.get_meter("meter")
    name, unit, description = declaration.name, declaration.unit, declaration.description

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(1)]

    match declaration.kind:
        case Kind.COUNTER:
            meter.create_counter(name, unit, description).add(1)
        case Kind.HISTOGRAM:
            meter.create_histogram(name, unit, description).record(1)
        case Kind.OBSERVABLE_COUNTER:
            meter.create_observable_counter(name, [observe], unit, description)
        case Kind.OBSERVABLE_UPDOWNCOUNTER:
            meter.create_observable_up_down_counter(name, [observe], unit, description)
        case Kind.OBSERVABLE_GAUGE:
            meter.create_observable_gauge(name, [observe], unit, description)
    (made,) = registry.collect()
    return Family(made.name, made.type, made.unit, made.documentation)


def is_ratio(declaration: Declaration) -> bool:
    """Tell whether the specification asks for `_ratio`, which the SDK's exporter leaves out."""
    return declaration.unit == "1" and declaration.kind is Kind.OBSERVABLE_GAUGE


@settings(max_examples=100, deadline=None)
@given(st.builds(Declaration, NAMES, st.sampled_from(Kind), UNITS, st.text(max_size=5)))
def test_names_are_the_sdks(declaration: Declaration) -> None:
    """Any name and unit give the family that the SDK's exporter gives; gauges of unit 1 aside."""
    if not is_ratio(declaration):
        assert family(declaration) == sdk_family(declaration)


@pytest.mark.parametrize("meter", business.METERS, ids=lambda meter: meter.declaration.name)
def test_names_of_declared_meters_are_the_sdks(meter: TableMeter) -> None:
    """So are those of all meters of the table."""
    ours, sdks = family(meter.declaration), sdk_family(meter.declaration)
    assert (ours.type, ours.help) == (sdks.type, sdks.help)
    assert ours.name == (f"{sdks.name}_ratio" if is_ratio(meter.declaration) else sdks.name)


@pytest.mark.parametrize(
    ("name", "kind", "unit", "published"),
    [
        ("cicd.pipeline.run.duration", Kind.HISTOGRAM, "s", "cicd_pipeline_run_duration_seconds"),
        ("ansflow.project.network.io", Kind.COUNTER, "By", "ansflow_project_network_io_bytes"),
        ("ansflow.dora.change_failure", Kind.OBSERVABLE_GAUGE, "1", "ansflow_dora_change_failure_ratio"),
        ("a.frequency", Kind.OBSERVABLE_GAUGE, "{deployment}/d", "a_frequency_per_day"),
        ("a.time", Kind.OBSERVABLE_GAUGE, "s/{run}", "a_time_seconds"),
        ("a.calls.total", Kind.COUNTER, "1", "a_calls"),
        ("4xx", Kind.OBSERVABLE_GAUGE, "", "_4xx"),
    ],
)
def test_names_of_the_specification(name: str, kind: Kind, unit: str, published: str) -> None:
    """Words of units, `per`, `_ratio`, and no digit at the start, as the specification has them."""
    assert family(Declaration(name, kind, unit, "")).name == published


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [("cicd.pipeline.name", "cicd_pipeline_name"), ("a--b_c", "a_b_c"), ("1a", "_1a")],
)
def test_labels(attribute: str, expected: str) -> None:
    """What a label's name can't have becomes one underscore."""
    assert label(attribute) == expected
