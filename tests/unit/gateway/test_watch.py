"""What is concluded from probes: states with hysteresis, and availability over sliding windows."""

import pytest
from ansflow_gateway.domain.availability import WINDOWS, Availability, error_budget
from ansflow_gateway.domain.urls import PROBE_SCHEMES, is_probe_url
from ansflow_gateway.domain.watch import Hysteresis, State, advance
from ansflow_gateway.prober.probe import KINDS
from hypothesis import given
from hypothesis import strategies as st

SMALL = {"3m": 3, "10m": 10}
EPOCH_S = 1_800_000_000.0

probes = st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=60)
"""Probes: whether each passed, and the seconds since the one before."""


@pytest.mark.parametrize(
    ("fall", "rise", "seen", "states"),
    [
        (2, 1, "+", "U"),
        (2, 1, "-", "D"),
        (2, 1, "+-", "UU"),
        (2, 1, "+--", "UUD"),
        (2, 1, "+-+-+-", "UUUUUU"),
        (2, 1, "+--+", "UUDU"),
        (2, 1, "-+--", "DUUD"),
        (1, 1, "+-+", "UDU"),
        (3, 2, "+---", "UUUD"),
        (3, 2, "+--+--", "UUUUUU"),
        (3, 2, "-+-++", "DDDDU"),
    ],
)
def test_a_state_changes_after_enough_contradiction_in_a_row(
    fall: int, rise: int, seen: str, states: str
) -> None:
    """The first probe decides; then `fall` failures or `rise` successes in a row, and no fewer."""
    state: State | None = None
    went = ""
    for probe in seen:
        state = advance(state, probe == "+", 0.0, Hysteresis(fall, rise))
        went += "U" if state.up else "D"
    assert went == states
    assert state is not None
    assert state.rises == states.count("DU")
    assert state.falls == states.count("UD")


def test_a_state_tells_since_when_it_is() -> None:
    """The time is that of the probe that changed the state, not of the latest."""
    state = advance(None, True, 1.0, Hysteresis())
    for now, passed in enumerate((True, False, False, False), start=2):
        state = advance(state, passed, float(now), Hysteresis())
    assert (state.up, state.since) == (False, 4.0)


def oracle(history: list[tuple[int, bool]], minute: int) -> dict[str, float]:
    """Count each window's probes one by one."""
    counted = {
        name: [passed for at, passed in history if minute - length < at <= minute]
        for name, length in SMALL.items()
    }
    return {name: sum(seen) / len(seen) for name, seen in counted.items() if seen}


def lost(history: list[tuple[int, bool]], minute: int) -> dict[str, float]:
    """Say how much of each window was lost, from a list of all probes."""
    shares = oracle(history, minute)
    return {
        name: (1 - shares[name]) * len({at for at, _ in history if minute - length < at <= minute}) / length
        for name, length in SMALL.items()
        if name in shares
    }


@given(probes, st.integers(0, 1500))
def test_availability_equals_a_count_of_all_probes(seen: list[tuple[bool, int]], idle_s: int) -> None:
    """At any moment each window's share is that of a list of all probes, also after silence and a restart."""
    availability = Availability(SMALL)
    now, history = EPOCH_S, []
    for passed, wait_s in seen:
        now += wait_s
        availability.record(passed, now)
        history.append((int(now // 60), passed))
        assert availability.ratios(now) == pytest.approx(oracle(history, int(now // 60)))
        assert availability.lost(now) == pytest.approx(lost(history, int(now // 60)))
    restored = Availability.from_bytes(availability.to_bytes(), SMALL)
    now += idle_s
    wanted = pytest.approx(oracle(history, int(now // 60)))
    assert availability.ratios(now) == wanted
    assert restored.ratios(now) == wanted
    assert restored.lost(now) == pytest.approx(lost(history, int(now // 60)))
    assert restored.to_bytes() == availability.to_bytes()


def test_a_clock_that_goes_back_loses_no_probe() -> None:
    """Probes made after it count in the latest minute."""
    availability = Availability(SMALL)
    availability.record(True, EPOCH_S)
    availability.record(False, EPOCH_S - 3600)
    assert availability.ratios(EPOCH_S - 3600) == {"3m": 0.5, "10m": 0.5}


def test_without_a_probe_there_is_no_availability() -> None:
    """No probe is neither 0 nor 1."""
    assert Availability().ratios(EPOCH_S) == {}


def test_a_month_of_probes_is_kept_within_some_kilobytes() -> None:
    """A probe every 10 s over 30 days, one failure a day: the shares are exact and the bytes few."""
    availability = Availability()
    for probe in range(30 * 8640):
        availability.record(probe % 8640 != 0, EPOCH_S + probe * 10)
    ratios = availability.ratios(EPOCH_S + 30 * 86400 - 10)
    assert ratios == {"1h": 1.0, "24h": 8639 / 8640, "30d": 8639 / 8640}
    assert ratios.keys() == WINDOWS.keys()
    assert len(availability.to_bytes()) < 4096


@pytest.mark.parametrize("change", [b"", b"junk", b"avl1" + b"\xff" * 40], ids=["empty", "short", "foreign"])
def test_bytes_that_are_no_availability_are_refused(change: bytes) -> None:
    """Foreign bytes are an error, never a silent start from nothing."""
    with pytest.raises(ValueError, match="expected serialised availability"):
        Availability.from_bytes(change)


def test_availability_of_other_windows_is_refused() -> None:
    """Counts of ten minutes aren't taken for those of thirty days."""
    with pytest.raises(ValueError, match="of 43200 minutes"):
        Availability.from_bytes(Availability(SMALL).to_bytes())


@given(st.data())
def test_cut_bytes_are_refused(data: st.DataObject) -> None:
    """However many bytes are missing at the end, it shows."""
    availability = Availability(SMALL)
    availability.record(True, EPOCH_S)
    whole = availability.to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="expected serialised availability"):
        Availability.from_bytes(whole[:cut], SMALL)


@pytest.mark.parametrize(
    ("lost", "left"), [(0.0, 1.0), (0.0005, 0.0), (0.00025, 0.5), (0.001, -1.0), (1.0, -1999.0)]
)
def test_the_error_budget_is_the_allowed_failure_that_is_left(lost: float, left: float) -> None:
    """All of it without a failure, none at the objective, less than none below it."""
    assert error_budget(lost) == pytest.approx(left)


def test_a_bad_start_is_no_bad_month() -> None:
    """A service that fails for its first two minutes of an hour has lost two of the 43,200 of 30 days."""
    availability = Availability()
    for second in range(0, 3600, 5):
        availability.record(second >= 120, EPOCH_S + second)
    assert availability.ratios(EPOCH_S + 3599)["30d"] == pytest.approx(58 / 60)
    shares = availability.lost(EPOCH_S + 3599)
    assert shares == pytest.approx({"1h": 2 / 60, "24h": 2 / 1440, "30d": 2 / 43_200})
    assert error_budget(shares["30d"]) == pytest.approx(1 - 2 / 21.6)


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("http://a/health/", True),
        ("https://a:1", True),
        ("ws://a/ws", True),
        ("wss://a:443/ws?x=1", True),
        ("tcp://a:5432", True),
        ("tcp://[::1]:5432", True),
        ("tcp://a", False),
        ("tcp://a:0", False),
        ("tcp://a:99999", False),
        ("tcp://a:5432/", False),
        ("tcp://me:hush@a:5432", False),
        ("ws://", False),
        ("ws://a b/", False),
        ("udp://a:53", False),
        ("a:5432", False),
        ("", False),
    ],
)
def test_what_can_be_probed(url: str, usable: bool) -> None:
    """HTTP and WebSocket URLs with a host, and TCP ports without anything behind."""
    assert is_probe_url(url) is usable


def test_every_scheme_that_is_accepted_has_its_way_of_asking() -> None:
    """A scheme that the settings take and the prober doesn't know would fail at the first probe."""
    assert KINDS.keys() == PROBE_SCHEMES
