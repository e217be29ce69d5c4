"""The README's tables hold what the code declares."""

from pathlib import Path

import pytest
from ansflow_gateway.config import OPTIONS, Option
from ansflow_gateway.domain.events import EventType
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.declaration import Declaration
from support.programs import ROOT

README = ROOT / "gateway" / "README.md"


def row(path: Path, first: str) -> list[str]:
    """Find the table's row that begins with a name in code; give its cells."""
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"| `{first}` |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("declared", CATALOGUE.values(), ids=CATALOGUE)
def test_every_instrument_is_described_as_declared(declared: Declaration) -> None:
    """Kind, unit, attributes and description are the catalogue's."""
    _, kind, attributes, description = row(README, declared.name)
    assert kind == (f"{declared.kind}, `{declared.unit}`" if declared.unit else declared.kind)
    assert attributes == (", ".join(f"`{name}`" for name in sorted(declared.attributes)) or "none")
    assert description == declared.description


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_setting_is_described_as_declared(option: Option) -> None:
    """Flag, twin, default and meaning are the options'."""
    default = f"`{option.default}`" if option.default else "none"
    assert row(README, option.flag)[1:] == [f"`{option.variable}`", default, option.help]


@pytest.mark.parametrize("event_type", EventType)
def test_every_event_type_is_described(event_type: EventType) -> None:
    """Each type that is taken has a row of its data."""
    assert row(README, event_type.value)[1]
