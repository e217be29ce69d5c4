"""The ``ansflow`` command: builds the stack's binaries and runs the whole system on one machine."""
