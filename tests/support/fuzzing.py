"""A gateway as a process that is fuzzed, and what has to be true after each request."""

import base64
import contextlib
import hmac
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.domain.store import Entry
from ansflow_gateway.exporters.page import Pacer, TablePage
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.storage import maintenance
from ansflow_gateway.web import openapi
from ansflow_gateway.web.openapi.parts import Part
from prometheus_client.parser import text_string_to_metric_families

from support.programs import free_ports, running
from support.raw_http import Answer, Connection, request

GITHUB = b"github-secret-example"
GITLAB = "gitlab-token-example"
GITLAB_KEY = b"signing-key-of-24-bytes."
JENKINS = "jenkins-token-example"

SHARES = {
    "document": 800,
    "events": 4_500,
    "deliveries": 3_000,
    "forgeries": 900,
    "mangled": 900,
    "pairs": 800,
}
"""Requests that the gateway is fuzzed with, by what they are made of; each is checked by itself."""

assert sum(SHARES.values()) >= 10_000

_DOCUMENT = json.loads(json.dumps(dict(openapi.DOCUMENT)))
YEAR_S = 31_536_000
WEEK_S = 604_800
SERIES_LIMIT = 100_000

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and labels."""

# What the gateway tells of itself and of its host.
_OWN = (
    "ansflow_availability",
    "ansflow_container_",
    "ansflow_gateway_",
    "container_",
    "process_",
    "system_",
    "target_",
)
# What changes with time, too: it is brought up to date once a second.
_TIMED = ("ansflow_active_projects", "ansflow_dora_", "cicd_worker_count")


class FuzzedGateway:
    """A gateway that runs, its store, and the sum of what its answers said.

    Args:
        port: Its port.
        store: Its SQLite file.
    """

    def __init__(self, port: int, store: Path) -> None:
        self.port = port
        self.store = store
        self.requests = 0
        """Requests whose answers were checked."""
        self.statuses: Counter[int] = Counter()
        self._said: Counter[str] = Counter()
        self._connection = Connection(port)
        self._database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        self._journal = self.journal()

    def close(self) -> None:
        """Close what is open."""
        self._connection.close()
        self._database.close()

    def journal(self) -> int:
        """Count the events that are stored."""
        (events,) = self._database.execute("SELECT COALESCE(SUM(count), 0) FROM journal").fetchone()
        return int(events)

    def exchange(self, method: str, path: str, data: bytes, *, template: str | None = None) -> Answer:
        """Send a request on a connection that is kept, and check its answer and its effect."""
        answer = self._connection.exchange(data, head=method == "HEAD")
        self.check(method, template or path, answer)
        return answer

    def check(self, method: str, path: str, answer: Answer) -> None:
        """See that an answer is as the document says, and that what it says has happened, and no more.

        Args:
            method: The request's method.
            path: Its path, as the document has it.
            answer: The answer.
        """
        check_answer(method, path, answer)
        self.account([answer], posted=method == "POST")

    def account(self, answers: Sequence[Answer], *, posted: bool = True) -> None:
        """See that what answers to requests say has happened together, and no more; they are checked."""
        said: Counter[str] = Counter()
        for answer in answers:
            self.requests += 1
            self.statuses[answer.status] += 1
            if posted:
                said += told_by(answer)
        stored = self.journal()
        assert stored - self._journal == said["accepted"], (answers, stored - self._journal)
        self._journal = stored
        self._said += said

    def check_counts(self) -> None:
        """See that the gateway has counted what its answers said, each by its heading."""
        counted: Counter[str] = Counter()
        for (name, labels), value in self.samples().items():
            heading = name.removeprefix("ansflow_gateway_events_").removesuffix("_total")
            if heading == "rejected":
                counted[f"rejected {dict(labels)['reason']}"] += int(value)
            elif heading in {"accepted", "duplicate", "unsupported", "shed", "spooled"}:
                counted[heading] += int(value)
        assert +counted == +self._said

    def samples(self) -> Samples:
        """Scrape it: values by name and labels."""
        return _samples(self.page())

    def page(self) -> str:
        """Scrape it."""
        answer = self.exchange("GET", "/metrics", request("GET", "/metrics"))
        assert answer.status == 200
        return answer.body.decode()

    def business(self) -> Samples:
        """Scrape it for what events alone can change."""
        return _business(self.samples())

    def check_fold(self) -> None:
        """See that the meters say what the journal alone makes of them: nothing else has changed them."""
        entries = [msgspec.convert(entry, Entry) for entry in maintenance.export(str(self.store))]
        book = Book(BookOptions(SERIES_LIMIT, YEAR_S, WEEK_S, traced=False))
        book.load([])
        book.apply(entries)
        book.tick()
        made = b"".join(TablePage(book.table, open_metrics=False).blocks(Pacer()))
        wanted, found = _business(_samples(made.decode())), self.business()
        assert wanted
        differing = {
            key: (found.get(key), wanted.get(key))
            for key in found.keys() | wanted.keys()
            if found.get(key) != wanted.get(key)
        }
        assert not differing, f"served, and made of the journal: {differing}"

    def look(self) -> None:
        """See that whoever only looks sees: the page, its index, health and metrics."""
        for path, accept in (("/", "text/html"), ("/", "*/*"), ("/health/", "*/*"), ("/metrics", "*/*")):
            answer = self.exchange("GET", path, request("GET", path, [("Accept", accept)]))
            assert answer.status == 200, (path, answer)


@contextlib.contextmanager
def fuzzed_gateway(folder: Path, *flags: str) -> Iterator[FuzzedGateway]:
    """Run a gateway with a store of its own and all webhooks, which gives no run up meanwhile.

    At its end its log holds no warning and no error: whatever was sent, nobody has to look after it.
    """
    (port,) = free_ports(1)
    store = folder / "gateway.sqlite3"
    command = [
        *(sys.executable, "-m", "ansflow_gateway", "serve", f"--port={port}", f"--store={store}"),
        *(f"--run-deadline={YEAR_S}", f"--start-deadline={WEEK_S}", f"--series-limit={SERIES_LIMIT}", *flags),
    ]
    variables = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_TRACES_EXPORTER": "none",
        "ANSFLOW_GATEWAY_GITHUB_SECRET": GITHUB.decode(),
        "ANSFLOW_GATEWAY_GITLAB_TOKEN": GITLAB,
        "ANSFLOW_GATEWAY_GITLAB_SIGNING_SECRET": "whsec_" + base64.b64encode(GITLAB_KEY).decode(),
        "ANSFLOW_GATEWAY_JENKINS_TOKEN": JENKINS,
    }
    log = folder / "gateway.log"
    with running(command, variables, log, f"http://127.0.0.1:{port}/health/ready"):
        gateway = FuzzedGateway(port, store)
        try:
            yield gateway
        finally:
            gateway.close()
    complaints = [line for line in log.read_text().splitlines() if "level=info" not in line]
    assert not complaints, complaints[:20]


def github_signature(body: bytes) -> str:
    """Sign a body as GitHub does."""
    return "sha256=" + hmac.digest(GITHUB, body, "sha256").hex()


def gitlab_signature(delivery: str, timestamp: str, body: bytes) -> str:
    """Sign a body as GitLab does, by Standard Webhooks."""
    signed = b".".join((delivery.encode("latin-1"), timestamp.encode("latin-1"), body))
    return "v1," + base64.b64encode(hmac.digest(GITLAB_KEY, signed, "sha256")).decode()


def check_answer(method: str, path: str, answer: Answer) -> None:
    """See that an answer is one that the document has for an operation, in status, type and content."""
    assert answer.status < 500 or path.startswith("/health"), answer
    lengths = [value for name, value in answer.headers if name == "content-length"]
    assert len(lengths) <= 1
    head = method == "HEAD"
    responses = operation("get" if head else method.lower(), path)["responses"]
    assert str(answer.status) in responses, (method, path, answer)
    response = responses[str(answer.status)]
    content_type = (answer.header("content-type") or "").partition(";")[0]
    assert content_type in response["content"], (method, path, answer)
    for name in response.get("headers", {}):
        assert name.lower() in dict(answer.headers) or name == "Preference-Applied", (name, answer)
    if not head and content_type.endswith("json"):
        _validator(method.lower(), path, answer.status, content_type)(json.loads(answer.body))
    if not head and content_type == "application/problem+json":
        assert json.loads(answer.body)["status"] == answer.status


def told_by(answer: Answer) -> Counter[str]:
    """Give the headings under which an answer to POST says that something is counted."""
    said: Counter[str] = Counter()
    told = json.loads(answer.body)
    if "items" in told:
        for item in told["items"]:
            said[item["verdict"] if item["verdict"] != "rejected" else _refusal(item["problem"])] += 1
        if "accepted" in told:  # the short answer to a batch lists the refused items alone
            said.update({heading: told[heading] - said[heading] for heading in _LISTED})
    elif "verdict" in told:
        said[told["verdict"]] += 1
    elif "reason" in told:
        said[_refusal(told)] += 1
    return said


_LISTED = ("accepted", "duplicate", "unsupported")


def _refusal(problem: Mapping[str, Any]) -> str:
    assert problem["reason"] in set(Reason)
    return f"rejected {problem['reason']}"


@cache
def operation(method: str, path: str) -> Part:
    """Give an operation of the document."""
    found: Part = _DOCUMENT["paths"][path][method]
    return found


@cache
def _validator(method: str, path: str, status: int, content_type: str) -> Callable[[object], None]:
    schema = operation(method, path)["responses"][str(status)]["content"][content_type]["schema"]
    whole = {**schema, "components": _DOCUMENT["components"]}
    validate: Callable[[object], None] = jsonschema.Draft202012Validator(whole).validate
    return validate


def _business(samples: Samples) -> Samples:
    return {key: value for key, value in samples.items() if not key[0].startswith((*_OWN, *_TIMED))}


def _samples(page: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
