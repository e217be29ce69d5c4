"""The Grafana dashboards as code: `python -m ansflow_dashboards` writes them, `--check` compares them."""

from .catalogue import DASHBOARDS, Expression, expressions, resolve

__all__ = ["DASHBOARDS", "Expression", "expressions", "resolve"]
