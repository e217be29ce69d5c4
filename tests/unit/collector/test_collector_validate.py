"""Every combination of the Collector's files is known to the check, and the check says why it can't run."""

from pathlib import Path

import pytest
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.checks.collector_validate import BASE, OPTIONAL, SIGNALS, combinations, find_otelcol, main
from click.testing import CliRunner

CONFIG = Path(__file__).parents[3] / "collector-config"

_NOT_CONFIGURATION = {"builder.yaml", "published-names.catalogue.yaml"}


def test_every_configuration_file_is_in_a_combination() -> None:
    """An overlay that is added without telling the check would never be validated."""
    files = {file.name for file in CONFIG.glob("*.yaml")} - _NOT_CONFIGURATION
    assert files == {name for combination in combinations() for name in combination.names}


def test_each_signals_overlay_is_tried_with_and_without_the_others() -> None:
    """The table has every combination once."""
    found = [combination.names for combination in combinations()]
    assert len(found) == len(set(found)) == len(SIGNALS) * 2 ** len(OPTIONAL)
    assert all(names[0] == BASE and names[1] in SIGNALS for names in found)


def test_the_collector_of_the_variable_is_taken(tmp_path: Path) -> None:
    """ANSFLOW_OTELCOL wins over the cache."""
    binary = tmp_path / "otelcol"
    binary.touch()
    assert find_otelcol(Checkout(tmp_path), {"ANSFLOW_OTELCOL": str(binary)}) == binary


def test_a_missing_collector_is_told_with_its_remedy(tmp_path: Path) -> None:
    """Without a binary nothing was validated, and that is no success."""
    with pytest.raises(FileNotFoundError) as missing:
        find_otelcol(Checkout(tmp_path), {"ANSFLOW_OTELCOL": str(tmp_path / "none")})
    assert str(missing.value) == (
        f"{tmp_path / 'none'} is not there: run `ansflow collector build`, or set ANSFLOW_OTELCOL"
    )


def test_the_command_exits_with_2_without_a_collector(tmp_path: Path) -> None:
    """A check that could not run is neither passed nor failed."""
    result = CliRunner().invoke(main, env={"ANSFLOW_OTELCOL": str(tmp_path / "none")})
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'none'} is not there")
