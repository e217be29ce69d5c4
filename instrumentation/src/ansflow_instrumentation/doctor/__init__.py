"""`ansflow-instrument`: what the instrumentation would do here, said without starting an application."""
