"""The command line: the only place that reads arguments and environment, and that exits."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable

import click

from ansflow_gateway import __version__, config, logs
from ansflow_gateway.commands import backup, export, inspect, restore, token
from ansflow_gateway.errors import ConfigurationError, ListenError, StoreRefusedError
from ansflow_gateway.server import serve as run_server

if sys.platform != "win32":
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop


_SWITCH_INTERVAL_S = 0.001


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(config.OPTIONS):
        default = f"; default: {option.default}" if option.default else ""
        command = click.option(
            option.flag,
            option.name,
            metavar=None if option.switch else option.name.rpartition("_")[2].upper(),
            is_flag=option.switch,
            flag_value="yes" if option.switch else None,
            default=None,
            help=f"{option.help} [{option.variable}{default}]",
        )(command)
    return command


@click.group(context_settings={"max_content_width": 110})
@click.version_option(__version__, prog_name="ansflow-gateway")
def main() -> None:
    """Take events in, watch the host and the services, give metrics out."""


@main.command()
@_options
@click.option("--check", is_flag=True, help="Print the effective configuration, secrets masked, and exit.")
def serve(*, check: bool, **flags: str | None) -> None:
    """Run the gateway.

    Each flag has a twin in the environment, named in brackets; the flag wins. Metrics are pushed as the
    standard OTEL_* variables say.
    """
    try:
        settings = config.load(flags, os.environ)
    except ConfigurationError as error:
        click.echo(f"ansflow-gateway: {error}", err=True)
        sys.exit(2)
    if check:
        click.echo(json.dumps(settings.shown(), indent=2))
        return
    # A push of many series, and a scrape, then make the event loop wait for a fifth of what is the default.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    logs.configure(settings.log_level, settings.log_format)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run_server(settings))
    except (ListenError, StoreRefusedError) as error:
        click.echo(f"ansflow-gateway: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
        sys.exit(128 + signal.SIGINT)


main.add_command(backup)
main.add_command(restore)
main.add_command(export)
main.add_command(inspect)
main.add_command(token)


if __name__ == "__main__":
    main()
