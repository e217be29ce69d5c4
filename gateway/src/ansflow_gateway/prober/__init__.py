"""Asking services for their health."""
