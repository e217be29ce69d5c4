"""Python's logging under the distro: what goes out by OTLP, and that the console stays as it was."""

from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver, attributes_of


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


LOGGERS = """
import logging, logging.config, sys
logging.config.dictConfig({
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["who"]}},
    "filters": {"who": {"()": lambda: (lambda record: setattr(record, "user", "anna") or True)}},
    "loggers": {"apart": {"handlers": ["console"], "propagate": False, "level": "INFO"}},
})
logging.getLogger("apart.child").info("apart")
logging.getLogger().handlers.clear()
logging.getLogger("apart.mute").propagate = False
logging.getLogger("apart.mute").info("mute")
logging.warning("root")
"""


def test_loggers_that_do_not_propagate_are_exported_once(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Whatever handlers there are, and whoever clears the root's, each record is exported, once."""
    finished = run_python(LOGGERS, receiver, tmp_path)
    assert finished.stderr.splitlines()[-2:] == ["apart", "WARNING:root:root"]
    assert _bodies(receiver) == ["apart", "mute", "root"]
    # Filters of the console's handler add to the record before it is exported.
    assert attributes_of(list(receiver.log_records()[0].attributes)) == {"user": "anna"}


def test_an_application_that_exports_itself_is_left_to_it(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Where a logger has an OTLP handler of the application's, its records are not sent a second time."""
    run_python(
        """
import logging
from opentelemetry.instrumentation.logging.handler import LoggingHandler
logging.getLogger("a").addHandler(LoggingHandler())
logging.getLogger("a.b").warning("seen")
""",
        receiver,
        tmp_path,
    )
    assert _bodies(receiver) == ["seen"]


def test_what_servers_log_is_exported_but_for_access_logs(
    start: StartService, receiver: OtlpReceiver
) -> None:
    """The loggers of uvicorn, which do not propagate, are exported; a record per request is not."""
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
    assert service.get("/items/1").status == 200
    assert service.get("/broken").status == 500
    assert '"GET /items/1 HTTP/1.1" 200 OK' in service.stop()
    bodies = _bodies(receiver)
    assert bodies.count("Application startup complete.") == 1
    assert bodies.count("Exception in ASGI application\n") == 1
    assert [body for body in bodies if "GET" in body] == []


def test_a_record_carries_the_request_it_was_written_in(start: StartService, receiver: OtlpReceiver) -> None:
    """A record's trace and span ids are those of the request's SERVER span."""
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
    assert service.get("/items/1").status == 200
    service.stop()
    (span,) = [span for span in receiver.spans() if span.kind == Span.SPAN_KIND_SERVER]
    (record,) = [record for record in receiver.log_records() if "was asked for" in record.body.string_value]
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)


def test_an_exception_that_nobody_handled_leads_to_its_trace(
    start: StartService, receiver: OtlpReceiver
) -> None:
    """It is logged by uvicorn when the request is over; the record is the request's all the same."""
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
    assert service.get("/broken").status == 500
    service.stop()
    (span,) = [span for span in receiver.spans() if span.kind == Span.SPAN_KIND_SERVER]
    (record,) = [record for record in receiver.log_records() if "Exception in" in record.body.string_value]
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)


def test_exceptions_of_the_application_stay_its_own(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """They are raised whatever they think of attributes, and can be written as JSON and pickled after."""
    program = """
import json, logging, pickle
from opentelemetry import trace

class Frozen(Exception):
    def __setattr__(self, name, value):
        if not name.startswith("__"):  # what contextlib sets
            raise RuntimeError("no attributes")

tracer = trace.get_tracer("test")
for raised in (Frozen, ValueError):
    try:
        with tracer.start_as_current_span("order"):
            raise raised("x")
    except raised as error:
        caught = error
json.dumps(vars(caught))
pickle.loads(pickle.dumps(caught))
logging.getLogger("shop").error("Not ordered", exc_info=caught)
"""
    process = run_python(program, receiver, tmp_path)
    assert process.returncode == 0, process.stderr
    (record,) = receiver.log_records()
    assert record.span_id == receiver.spans()[-1].span_id


def test_extras_that_are_no_attributes_are_written_as_text(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Django's 404s carry the request: it is exported as text, without a warning of the SDK's for each."""
    finished = run_python(
        """
import logging, pathlib
logging.getLogger("a").warning("Not Found", extra={"request": pathlib.PurePosixPath("/nix"), "status": 404})
""",
        receiver,
        tmp_path,
    )
    assert [line for line in finished.stderr.splitlines() if "attribute" in line] == []
    (record,) = receiver.log_records()
    assert attributes_of(list(record.attributes)) == {"request": "/nix", "status": "404"}
