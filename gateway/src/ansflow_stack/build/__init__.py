"""Builds the Go programs of the stack into the checkout's cache.

This package imports the standard library only, so that the interpreter of a fresh machine can run it
(``python3 -m ansflow_stack.build``) while the virtual environment is still being set up.
"""
