"""Checks of the committed configuration, and the documentation made from it: commands for ``make check``."""
