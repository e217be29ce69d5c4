"""Ids of runs' spans: the same whenever they are made, and never those of another run."""

from ansflow_gateway.domain.events import RunKey
from ansflow_gateway.domain.traces import (
    SPAN_ID_BYTES,
    TRACE_ID_BYTES,
    run_span_id,
    task_span_id,
    trace_id,
)
from hypothesis import given
from hypothesis import strategies as st

RUNS = st.builds(RunKey, st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.integers(1, 200))


def test_run_12_attempt_3_is_not_run_1_attempt_23() -> None:
    """Parts of an identity are kept apart: where they are just joined, these two runs are one trace."""
    one, other = RunKey("github", "github.com/o/r", "12", 3), RunKey("github", "github.com/o/r", "1", 23)
    assert trace_id(one) != trace_id(other)
    assert run_span_id(one) != run_span_id(other)
    assert task_span_id(one, "7") != task_span_id(other, "7")
    assert task_span_id(one, "7") != run_span_id(one)


def test_ids_stay_the_same_from_release_to_release() -> None:
    """A replay by a later release makes the same spans: these ids are written down."""
    run = RunKey("github", "github.com/o/r", "12", 3)
    assert (trace_id(run).hex(), run_span_id(run).hex(), task_span_id(run, "7").hex()) == (
        "d3f94446ed6208d82f7b37b9c8507a02",
        "ce97941d1372b6a7",
        "047638864b8c82ba",
    )


@given(RUNS, RUNS, st.text(max_size=3), st.text(max_size=3))
def test_ids_are_equal_exactly_where_the_identity_is(
    one: RunKey, other: RunKey, task: str, other_task: str
) -> None:
    """Whatever the texts hold, two runs share an id only if they are the same run."""
    assert (trace_id(one) == trace_id(other)) is (one == other)
    assert (run_span_id(one) == run_span_id(other)) is (one == other)
    same_task = (one, task) == (other, other_task)
    assert (task_span_id(one, task) == task_span_id(other, other_task)) is same_task
    assert len(trace_id(one)) == TRACE_ID_BYTES
    assert len(run_span_id(one)) == len(task_span_id(one, task)) == SPAN_ID_BYTES
