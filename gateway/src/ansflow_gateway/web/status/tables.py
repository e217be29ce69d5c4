"""Tables that can be read by ear and by keyboard as well: captions, scopes, a region that scrolls."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansflow_gateway.web.status.markup import EMPTY, Markup, fill, join


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        title: Its heading.
        number: Whether it holds numbers, which are aligned right.
        wide: Whether it holds texts that need some width.
    """

    title: str
    number: bool = False
    wide: bool = False


def table(
    key: str, caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Markup | str]]
) -> Markup:
    """Make a table whose first column heads its rows.

    Args:
        key: Stable name, unique on the page.
        caption: What the table says, for those who don't see the heading above it.
        columns: The columns.
        rows: One cell a column; strings are escaped.

    Returns:
        The table, in a region that can be scrolled by keyboard where it is too wide.
    """
    heads = join(
        fill('<th scope="col"{kind}>{title}</th>', kind=_kind(column), title=column.title)
        for column in columns
    )
    return fill(
        '<div class="scroll" role="region" tabindex="0" aria-label="{caption}" data-key="{key}"><table>'
        '<caption class="unseen">{caption}</caption>'
        "<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>",
        key=key,
        caption=caption,
        heads=heads,
        rows=join(_row(columns, row) for row in rows),
    )


def _row(columns: Sequence[Column], cells: Sequence[Markup | str]) -> Markup:
    first, *others = cells
    return fill(
        '<tr><th scope="row">{first}</th>{others}</tr>',
        first=first,
        others=join(
            fill("<td{kind}>{cell}</td>", kind=_kind(column), cell=cell)
            for column, cell in zip(columns[1:], others, strict=True)
        ),
    )


def _kind(column: Column) -> Markup:
    if column.number:
        return Markup(' class="number"')
    return Markup(' class="wide"') if column.wide else EMPTY
