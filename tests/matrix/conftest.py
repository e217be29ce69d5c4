"""The choice between the whole matrix and its diagonal."""

import pytest

from matrix.cells import DIAGONAL, Cell


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the cells beside the diagonal to `-m matrix`, which is `make test-matrix`."""
    if "matrix" in config.getoption("markexpr"):
        return
    left = [item for item in items if (cell := _cell_of(item)) is not None and cell.name not in DIAGONAL]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _cell_of(item: pytest.Item) -> Cell | None:
    parameters = getattr(item, "callspec", None)
    cell = parameters.params.get("run") if parameters else None
    return cell if isinstance(cell, Cell) else None
