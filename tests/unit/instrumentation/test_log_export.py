"""Python's logging under the distro: what goes out by OTLP, and that the console stays as it was."""

from pathlib import Path

from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver


def _bodies(receiver: OtlpReceiver) -> list[str]:
    return [record.body.string_value for record in receiver.log_records()]


def test_an_unconfigured_console_still_shows_warnings(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Without any handler of the application's, warnings go to stderr as they do without telemetry."""
    finished = run_python(
        "import logging; logging.getLogger('a.b').warning('seen'); logging.getLogger('a').info('unseen')",
        receiver,
        tmp_path,
    )
    assert [line for line in finished.stderr.splitlines() if "seen" in line] == ["seen"]
    assert _bodies(receiver) == ["seen"]


def test_the_exported_level_is_not_the_consoles(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """OTEL_PYTHON_LOG_HANDLER_LEVEL is for what is exported; the console keeps its warnings."""
    finished = run_python(
        "import logging; logging.getLogger('a').warning('seen'); logging.getLogger('a').error('seen, too')",
        receiver,
        tmp_path,
        variables={"OTEL_PYTHON_LOG_HANDLER_LEVEL": "error"},
    )
    assert [line for line in finished.stderr.splitlines() if "seen" in line] == ["seen", "seen, too"]
    assert _bodies(receiver) == ["seen, too"]


def test_a_configured_console_shows_everything_once(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`basicConfig` works as if telemetry were not there, and no record is written twice."""
    finished = run_python(
        """
import logging
logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(message)s")
logging.getLogger("a").info("one")
logging.getLogger("a").error("two")
""",
        receiver,
        tmp_path,
    )
    written = [line for line in finished.stderr.splitlines() if line.endswith(("one", "two"))]
    assert written == ["INFO:one", "ERROR:two"]
    assert _bodies(receiver) == ["one", "two"]


QUERIES = """
import logging
logging.basicConfig(level=logging.DEBUG)
# As echo=True does: SQLAlchemy itself, once it is imported, lets warnings through only.
logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
logging.getLogger("django.db.backends").debug("SELECT 2")
logging.getLogger("sqlalchemy.pool").warning("the pool is exhausted")
logging.getLogger("sqlalchemy_utils").info("not SQLAlchemy's")
"""


def test_sql_echo_is_not_exported(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Records per query stay on the console; warnings of the same loggers are exported."""
    finished = run_python(QUERIES, receiver, tmp_path)
    assert "SELECT 1" in finished.stderr
    exported = _bodies(receiver)
    assert "the pool is exhausted" in exported
    assert "not SQLAlchemy's" in exported
    assert not [body for body in exported if body.startswith("SELECT")]


def test_the_users_quiet_loggers_win(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """An empty list exports everything."""
    run_python(QUERIES, receiver, tmp_path, variables={"ANSFLOW_LOGS_QUIET_LOGGERS": ""})
    assert [body for body in _bodies(receiver) if body.startswith("SELECT")] == ["SELECT 1", "SELECT 2"]


def test_exporting_does_not_export_itself(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The exporter's own debug output (an HTTP request a batch) is not exported: it would never end."""
    finished = run_python(
        """
import logging, time
from opentelemetry._logs import get_logger_provider
logging.basicConfig(level=logging.DEBUG)
for number in range(3):
    logging.getLogger("app").info("record %d", number)
    get_logger_provider().force_flush()
""",
        receiver,
        tmp_path,
    )
    assert "/v1/logs" in finished.stderr  # urllib3 says what it sends
    assert [body for body in _bodies(receiver) if not body.startswith("record")] == []


def test_no_deprecated_part_is_used(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Starting, logging and ending raise no deprecation warning."""
    finished = run_python(
        "import logging; logging.getLogger('a').error('seen')",
        receiver,
        tmp_path,
        variables={"PYTHONWARNINGS": "always::DeprecationWarning"},
    )
    assert "DeprecationWarning" not in finished.stderr
