"""What import-linter can't see: which part of OpenTelemetry a module imports."""

import ast
from pathlib import Path

import ansflow_gateway
import pytest

PACKAGE = Path(ansflow_gateway.__file__).parent
API = {"opentelemetry.metrics"}


def telemetry_imports(path: Path) -> set[str]:
    """List the modules of OpenTelemetry that a file imports."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
    return {name for name in imported if name.split(".")[0] == "opentelemetry"}


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_exporters_and_app_import_the_sdk(path: Path) -> None:
    """Meters import OpenTelemetry's API alone, and nobody else imports any of it."""
    place = path.relative_to(PACKAGE).parts[0]
    if place not in {"exporters", "app.py", "lifetimes"}:
        assert telemetry_imports(path) <= (API if place == "meters" else set())
