"""The Grafana dashboards as code: `python -m ansflow_dashboards` writes them, `--check` compares them."""

from .catalogue import DASHBOARDS, EVERYTHING, Expression, expressions, resolve

__all__ = ["DASHBOARDS", "EVERYTHING", "Expression", "expressions", "resolve"]
