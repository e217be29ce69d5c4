"""Settings by instrument, as they are read from variables."""

import pytest
from ansflow_instrumentation.configuration.rules import Rules, parse_buckets, parse_limit, read_rules
from ansflow_instrumentation.configuration.streams import AttributeNames, read_stream_settings


def test_the_most_exact_entry_counts() -> None:
    """A name counts before a pattern, and a longer pattern before a shorter one, in whatever order."""
    rules = Rules({"*": 1, "http.server.request.duration": 2, "http.*": 3, "http.server.request.*": 4})
    assert rules.of("http.server.request.duration") == 2
    assert rules.of("http.server.request.size") == 4
    assert rules.of("http.client.request.duration") == 3
    assert rules.of("db.client.operation.duration") == 1


def test_entries_are_read_whatever_the_white_space() -> None:
    """Semicolons separate entries; names are compared in lower case, as the SDK keeps them."""
    rules, problems = read_rules({"LIMITS": " HTTP.Server.* = 5 ;; 7;"}, "LIMITS", parse_limit, bare=True)
    assert rules.values == {"http.server.*": 5, "*": 7}
    assert problems == []


@pytest.mark.parametrize(
    ("variable", "entry", "expected"),
    [
        ("ANSFLOW_METRICS_BUCKETS", "a.b=1,x", "increasing numbers separated by commas"),
        ("ANSFLOW_METRICS_BUCKETS", "a.b=1,1", "increasing numbers separated by commas"),
        ("ANSFLOW_METRICS_BUCKETS", "a.b=1,inf", "increasing numbers separated by commas"),
        ("ANSFLOW_METRICS_BUCKETS", "0.1,1", "<instrument>=<value>"),
        ("ANSFLOW_METRICS_BUCKETS", "a b=1", "<instrument>=<value>"),
        ("ANSFLOW_METRICS_BUCKETS", "a.b=", "<instrument>=<value>"),
        ("ANSFLOW_METRICS_CARDINALITY_LIMITS", "a.b=0", "a whole number of series, 1 or more"),
        ("ANSFLOW_METRICS_CARDINALITY_LIMITS", "many", "a whole number of series, 1 or more"),
        ("ANSFLOW_METRICS_DROPPED_ATTRIBUTES", "a.b=c d", "attribute names separated by commas"),
        ("ANSFLOW_METRICS_KEPT_ATTRIBUTES", "a.b=c,,d", "attribute names separated by commas"),
    ],
)
def test_a_bad_entry_is_named_and_the_rest_applies(variable: str, entry: str, expected: str) -> None:
    """One sentence names the variable, the entry as it was written and what was expected."""
    good = "good=3" if variable == "ANSFLOW_METRICS_CARDINALITY_LIMITS" else "good=0.1,1"
    settings, problems = read_stream_settings({variable: f"{entry}; {good}"})
    assert len(problems) == 1
    assert problems[0].startswith(f"{variable}: {entry!r} is ignored; expected {expected}")
    of_good = (
        settings.buckets.of("good")
        or settings.dropped_attributes.of("good")
        or settings.kept_attributes.of("good")
        or settings.limits.of("good")
    )
    assert of_good


def test_buckets_may_be_exponential() -> None:
    """Boundaries are numbers, or none for the exponential histogram."""
    assert parse_buckets("0.005, 0.1,1") == (0.005, 0.1, 1.0)
    assert parse_buckets("Exponential") is None


def test_attributes_are_kept_and_dropped_by_pattern() -> None:
    """What is dropped is dropped, also if it is kept; without a list of what is kept, all the rest is."""
    names = AttributeNames(None, frozenset({"server.*", "user.id"}))
    assert [name for name in ("http.route", "server.port", "user.id") if name in names] == ["http.route"]
    names = AttributeNames(frozenset({"http.*"}), frozenset({"http.flavor"}))
    assert [name for name in ("http.route", "server.port", "http.flavor") if name in names] == ["http.route"]
