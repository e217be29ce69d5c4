"""Every setting that the command line, the environment and the file know."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

PREFIX: Final = "ANSFLOW_GATEWAY_"


class Kind(Enum):
    """What a setting's value is in the file; elsewhere it is text."""

    TEXT = "a string"
    WHOLE = "a whole number"
    NUMBER = "a number"
    SWITCH = "true or false"
    PAIRS = "a table of strings, or a string"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the user gives it.

    Args:
        name: Its name, in the file as well; the flag and the variable are made of it.
        default: Default as text; empty where there is none.
        help: One sentence for `--help`.
        kind: What its value is.
        secret: Whether its value must not be shown.
        in_file: Whether the file may give it.
    """

    name: str
    default: str
    help: str
    kind: Kind = Kind.TEXT
    secret: bool = False
    in_file: bool = True

    @property
    def flag(self) -> str:
        """The flag, such as `--probe-interval`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, such as `ANSFLOW_GATEWAY_PROBE_INTERVAL`."""
        return PREFIX + self.name.upper()

    @property
    def switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.kind is Kind.SWITCH


def _whole(name: str, default: str, help_: str) -> Option:
    return Option(name, default, help_, Kind.WHOLE)


def _number(name: str, default: str, help_: str) -> Option:
    return Option(name, default, help_, Kind.NUMBER)


def _secret(name: str, help_: str) -> Option:
    return Option(name, "", help_, secret=True)


OPTIONS: Final = (
    Option("config", "", "TOML file with settings, named as here with _ for -.", in_file=False),
    Option("host", "127.0.0.1", "Address to listen on."),
    _whole("port", "8080", "Port to listen on; 0 takes a free one."),
    Option("tls_cert", "", "PEM file of the certificate to listen with; read again when it changes."),
    Option("tls_key", "", "PEM file of the certificate's private key."),
    Option(
        "store", "", "File of the SQLite store, or a postgresql:// URL; a file below the state directory."
    ),
    _number("retention", "2592000", "Seconds that events are kept, and known again."),
    _whole("dedup_window", "1000000", "Events remembered, so that a duplicate is known."),
    _whole(
        "queue_limit", "50000", "Events that may wait to be stored; beyond it producers are answered 429."
    ),
    Option("spool", "", "Directory where webhooks wait for a store that can't take them; beside the store."),
    _whole("spool_quota", "268435456", "Bytes that the spool may take."),
    _number("run_deadline", "86400", "Seconds after which a run without an end is given up."),
    _number(
        "start_deadline", "60", "Seconds that a finished run waits for its start, and its trace for tasks."
    ),
    _number("gauge_ttl", "3600", "Seconds after which a gauge that nobody tells any more vanishes."),
    _number("active_window", "3600", "Seconds for which a project counts as active after a finished run."),
    _whole("series_limit", "1000", "Label sets that producers may bring about in one instrument."),
    _number("push_delay", "0.5", "Seconds from a change of the meters to the push that tells it."),
    Option(
        "services", "", "Services to probe: name=URL of a health endpoint, separated by commas.", Kind.PAIRS
    ),
    _number("probe_interval", "10", "Seconds between two probes of a service."),
    _number("probe_deadline", "5", "Seconds that one probe may take."),
    _number("availability_objective", "0.9995", "Share of the time that services are to be available."),
    _number("sample_interval", "5", "Seconds between two samples of the host."),
    _number("drain_deadline", "10", "Seconds that requests under way are given at the end."),
    _number("flush_deadline", "5", "Seconds that the last push of metrics is given at the end."),
    _secret("token", "Bearer token for everything; health and webhooks need none."),
    Option("token_file", "", "File that holds the token."),
    Option(
        "tokens_file", "", "TOML file of producers' hashed tokens and their scopes; read when it changes."
    ),
    Option("allow_unauthenticated", "no", "Listen beyond loopback without a token.", Kind.SWITCH),
    _secret("github_secret", "Secret of GitHub's webhooks; a file is better."),
    Option(
        "github_secret_file", "", "File of it: one line, or two while it is changed; read when it changes."
    ),
    _secret("gitlab_token", "Secret token of GitLab's webhooks; a file is better."),
    Option("gitlab_token_file", "", "File of it, like GitHub's."),
    _secret("gitlab_signing_secret", "Signing token (whsec_…) of GitLab's webhooks; a file is better."),
    Option("gitlab_signing_secret_file", "", "File of it, like GitHub's."),
    _secret("jenkins_token", "Token that Jenkins shows; a file is better."),
    Option("jenkins_token_file", "", "File of it, like GitHub's."),
    Option("prometheus_url", "", "Prometheus, for the status page's links."),
    Option("grafana_url", "", "Grafana, for the status page's links."),
    Option("trace_url", "", "Where a trace is shown, for links: a URL with {trace_id} in it."),
    Option("log_level", "info", "debug, info, warning or error."),
    Option("log_format", "logfmt", "logfmt or json."),
)
"""All settings of the command line, in the order of `--help`."""
