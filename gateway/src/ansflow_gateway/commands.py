"""Commands beside `serve`: what is done with a store, and with tokens, from the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ansflow_gateway.errors import StoreError
from ansflow_gateway.storage import maintenance
from ansflow_gateway.storage.postgres_url import is_postgres
from ansflow_gateway.web import tokens

_STORE = click.argument("store", metavar="STORE")
_PROGRESS_EVERY = 100_000


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        click.echo(f"ansflow-gateway: {error}", err=True)
        sys.exit(1)


@click.command()
@_STORE
@click.argument("target", type=click.Path(path_type=Path))
def backup(store: str, target: Path) -> None:
    """Copy the SQLite file STORE to TARGET, as it is at one moment, also while a gateway uses it.

    The copy is read back and verified. A PostgreSQL database is copied by pg_dump.
    """
    with _refusals():
        click.echo(json.dumps(maintenance.backup(store, target).as_dict()))


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@_STORE
@click.option("--overwrite", is_flag=True, help="Replace a store that is there: what it holds is lost.")
def restore(source: Path, store: str, overwrite: bool) -> None:
    """Put the backup SOURCE in the place of the SQLite file STORE, which no gateway may use meanwhile."""
    with _refusals():
        click.echo(json.dumps(maintenance.restore(source, store, overwrite=overwrite).as_dict()))


@click.command()
@_STORE
def export(store: str) -> None:
    """Print the journal of STORE, a file or a postgresql:// URL: an event a line, as JSON, oldest first."""
    with _refusals():
        written = 0
        for entry in maintenance.export(store):
            click.echo(json.dumps(entry))
            written += 1
            if written % _PROGRESS_EVERY == 0:
                click.echo(f"{written:,} events", err=True)
        click.echo(f"{written:,} events in all", err=True)


@click.command()
@_STORE
def inspect(store: str) -> None:
    """Verify the SQLite file STORE, and print what it holds."""
    if is_postgres(store):
        raise click.UsageError("inspect takes a file; psql inspects a PostgreSQL database")
    with _refusals():
        click.echo(json.dumps(maintenance.inspect(store).as_dict(), indent=2))


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in tokens.Scope]),
    default=[tokens.Scope.EVENTS_WRITE.value],
    show_default=True,
    help="What it is for; may be given several times.",
)
def token(name: str, scopes: tuple[str, ...]) -> None:
    """Make a token for the producer NAME.

    The token goes to standard error, once; its entry for --tokens-file, which has only its hash, to standard
    output.
    """
    try:
        made, entry = tokens.make(name, scopes)
    except ValueError as error:
        click.echo(f"ansflow-gateway: {error}", err=True)
        sys.exit(2)
    click.echo(made, err=True)
    click.echo(entry)
