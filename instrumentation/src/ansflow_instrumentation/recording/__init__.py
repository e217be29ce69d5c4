"""Recording on hot paths: an attribute set is looked up once, not at each measurement."""

from ansflow_instrumentation.recording.bound import BoundCounter, BoundHistogram
from ansflow_instrumentation.recording.series import CounterSeries, HistogramSeries

__all__ = ["BoundCounter", "BoundHistogram", "CounterSeries", "HistogramSeries"]
