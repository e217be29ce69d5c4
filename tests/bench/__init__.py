"""What instrumentation costs, measured beside its peers in one interleaved run."""
