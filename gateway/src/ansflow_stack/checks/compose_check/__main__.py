"""The command line: `python -m ansflow_stack.checks.compose_check docker/compose.yaml`."""

import sys
from pathlib import Path

import click

from ansflow_stack.checks.compose_check import ComposeError, check


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Repository that mounts must lie in; by default the nearest folder above FILE that has a .git.",
)
def main(file: Path, root: Path | None) -> None:
    """Check a compose FILE without a container engine: one line a problem, exit status 1 if there is one."""
    try:
        problems = check(file, root or _repository_of(file))
    except ComposeError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    for problem in problems:
        click.echo(f"{file}: {problem}", err=True)
    if problems:
        sys.exit(1)
    click.echo(f"{file}: valid")


def _repository_of(file: Path) -> Path:
    folder = file.resolve().parent
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)


if __name__ == "__main__":
    main()
