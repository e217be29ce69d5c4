"""Runs the whole system on this machine: what it consists of, its ports, its supervision, its logs."""
