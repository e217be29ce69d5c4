"""The endpoints that only show, and who may see them."""

import asyncio
import gzip
import threading

import pytest
from ansflow_gateway.domain.rejection import SHED, Reason
from ansflow_gateway.exporters.prometheus import Page, PrometheusPage
from ansflow_gateway.exporters.prometheus_names import family
from ansflow_gateway.lifetimes import SAMPLER
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.declaration import Kind
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from support.gateway import Answer, Gateway, StartGateway, StartService, eventually, run_finished, series

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TOKEN = "correct-horse-battery-staple"


async def fetch(gateway: Gateway, path: str, **headers: str) -> tuple[int, str, str]:
    """Get a path: status, content type and text."""
    async with gateway.session.get(gateway.url + path, headers=headers) as response:
        return response.status, response.headers["Content-Type"], await response.text()


@pytest.mark.parametrize(
    ("accept", "content_type"), [("", "text/plain; version=0.0.4; charset=utf-8"), (OPENMETRICS, OPENMETRICS)]
)
async def test_metrics_are_rendered_as_the_scraper_prefers(
    gateway: Gateway, accept: str, content_type: str
) -> None:
    """Both forms parse, under their own content types, and hold the same run."""
    await gateway.send(run_finished(result="failure"))
    status, given_type, text = await fetch(gateway, "/metrics", Accept=accept)
    assert status == 200
    assert given_type.startswith(content_type)
    assert text.endswith("# EOF\n") == (accept == OPENMETRICS)
    families = list((parse_openmetrics if accept else parse_text)(text))
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert samples["cicd_pipeline_run_duration_seconds_count"].value == 1
    assert samples["cicd_pipeline_run_errors_total"].labels == {
        "cicd_pipeline_name": "build",
        "error_type": "_OTHER",
    }
    assert samples["target_info"].labels["service_name"] == "ansflow-gateway"


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_the_page_has_the_names_that_a_collector_gives(gateway: Gateway, accept: str) -> None:
    """Whoever reads the page and whoever reads a Collector finds each series under one name."""
    await gateway.send(run_finished())
    _, _, text = await fetch(gateway, "/metrics", Accept=accept)
    found = {each.name for each in (parse_openmetrics if accept else parse_text)(text)} - {
        "target_info",
        "target",
    }
    assert found <= {family(declared).name for declared in CATALOGUE.values()}
    assert "ansflow_availability_objective_ratio" in found


async def test_metrics_are_compressed_for_those_who_ask(gateway: Gateway) -> None:
    """The body is gzip if and only if the scraper takes it."""
    async with gateway.session.get(
        gateway.url + "/metrics", headers={"Accept-Encoding": "gzip"}, auto_decompress=False
    ) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert b"target_info" in gzip.decompress(await response.read())
    async with gateway.session.get(
        gateway.url + "/metrics", headers={"Accept-Encoding": "identity"}
    ) as response:
        assert "Content-Encoding" not in response.headers


async def test_scrapes_are_rendered_off_the_event_loop_one_after_the_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape holds up no event; concurrent scrapes share one other thread, and each is whole."""
    release = threading.Event()
    threads: set[str] = set()
    render = PrometheusPage.render

    def slow(self: PrometheusPage, accept: str, accept_encoding: str) -> Page:
        threads.add(threading.current_thread().name)
        assert release.wait(30)
        return render(self, accept, accept_encoding)

    monkeypatch.setattr(PrometheusPage, "render", slow)
    scrapes = [asyncio.create_task(fetch(gateway, "/metrics")) for _ in range(5)]
    assert (await gateway.send(run_finished()))[0] == 202
    assert not any(scrape.done() for scrape in scrapes)
    release.set()
    for _, _, text in await asyncio.gather(*scrapes):
        assert text.count("# TYPE cicd_pipeline_run_duration_seconds histogram") == 1
    assert len(threads) == 1
    assert threading.main_thread().name not in threads


async def test_what_is_exported_is_what_the_catalogue_declares(
    start_gateway: StartGateway, start_service: StartService
) -> None:
    """Exactly the catalogue's instruments appear, with its kinds, units and attributes."""
    service = await start_service(Answer(body=b'{"status": "pass", "checks": {"db": [{"status": "pass"}]}}'))
    gateway = await start_gateway(services=f"api={service.url}")
    await gateway.send(run_finished(result="failure"))
    await gateway.send(
        {
            "specversion": "1.0",
            "id": "a",
            "source": "/t",
            "type": "dev.ansflow.user.activity.v1",
            "data": {"action": "login", "user_type": "admin"},
        }
    )

    own = {name for name, declared in CATALOGUE.items() if not declared.tabled}
    # Nothing unknown was sent, nothing is pushed, and not every host has a container, or each kind of device.
    perhaps = {
        name
        for name in own
        if name.startswith(("container.", "ansflow.container.", "system."))
        or name.endswith((".unsupported", ".push.failures"))
    }

    def all_there() -> None:
        found = gateway.collect().keys()
        assert own - perhaps <= found <= CATALOGUE.keys()
        assert {"system.cpu.time", "system.memory.usage", "system.filesystem.usage"} <= found

    await eventually(all_there)
    data = gateway.reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        declared = CATALOGUE[metric.name]
        assert (metric.unit, metric.description) == (declared.unit, declared.description)
        used = {name for point in metric.data.data_points for name in point.attributes or {}}
        assert used == declared.attributes or (used < declared.attributes and metric.name in perhaps)
        shape = type(metric.data).__name__, getattr(metric.data, "is_monotonic", None)
        assert (
            shape
            == {
                Kind.COUNTER: ("Sum", True),
                Kind.OBSERVABLE_COUNTER: ("Sum", True),
                Kind.OBSERVABLE_UPDOWNCOUNTER: ("Sum", False),
                Kind.OBSERVABLE_GAUGE: ("Gauge", None),
                Kind.HISTOGRAM: ("Histogram", None),
            }[declared.kind]
        )


async def test_all_series_of_the_gateways_own_account_exist_from_the_start(gateway: Gateway) -> None:
    """A first rejection is an increase from a true zero, which a rate can see."""
    assert set(gateway.values("ansflow.gateway.events.rejected").values()) == {0}
    assert len(gateway.values("ansflow.gateway.events.rejected")) == len(set(Reason) - SHED)
    assert set(gateway.values("ansflow.gateway.events.accepted").values()) == {0}


async def test_the_resource_says_who_and_where(start_gateway: StartGateway) -> None:
    """The user's attributes win; the instance is host and port; the service's name is the gateway's."""
    environ = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=ansflow,host.name=box%201",
    }
    gateway = await start_gateway(environ)
    data = gateway.reader.get_metrics_data()
    assert data is not None
    attributes = data.resource_metrics[0].resource.attributes
    port = gateway.url.rpartition(":")[2]
    assert {name: attributes[name] for name in ("service.name", "service.namespace", "host.name")} == {
        "service.name": "ansflow-gateway",
        "service.namespace": "ansflow",
        "host.name": "box 1",
    }
    assert attributes["service.instance.id"] == f"box 1:{port}"


async def test_health_tells_its_checks(gateway: Gateway) -> None:
    """All three endpoints answer application/health+json, uncached; readiness needs a sample of the host."""

    async def passes() -> None:
        async with gateway.session.get(gateway.url + "/health/") as response:
            document = await response.json(content_type="application/health+json")
            assert response.headers["Cache-Control"] == "no-store"
        assert (response.status, document["status"]) == (200, "pass")
        (check,) = document["checks"]["host:sampleAge"]
        assert (check["status"], check["observedUnit"]) == ("pass", "s")

    def sampled() -> None:
        assert gateway.app[SAMPLER].snapshot

    await eventually(sampled)
    assert (await fetch(gateway, "/health/ready"))[0] == 200
    await passes()
    status, content_type, text = await fetch(gateway, "/health/live")
    assert (status, content_type) == (200, "application/health+json")
    assert "checks" not in text


async def test_health_fails_without_a_sample_and_lives_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a present sample the gateway isn't ready (503), but alive (200)."""
    monkeypatch.setattr("ansflow_gateway.sampling.sampler.Sampler.snapshot", None)
    assert (await fetch(gateway, "/health/"))[0] == 503
    assert (await fetch(gateway, "/health/ready"))[0] == 503
    assert (await fetch(gateway, "/health/live"))[0] == 200


async def test_the_index_lists_the_endpoints(gateway: Gateway) -> None:
    """Each endpoint that the index lists exists."""
    async with gateway.session.get(gateway.url + "/") as response:
        endpoints = (await response.json())["endpoints"]
    for endpoint in endpoints:
        method, _, path = endpoint.partition(" ")
        async with gateway.session.request(method, gateway.url + path) as response:
            # A webhook without a secret is not there, and says how it would be.
            assert response.status != 405
            assert response.status != 404 or "enables it" in await response.text()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/v1/events", 405)])
async def test_errors_of_the_server_are_problem_documents_too(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    """Unknown paths and methods answer application/problem+json; a 405 says what is allowed."""
    async with gateway.session.request(method, gateway.url + path) as response:
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["status"]) == (status, status)
        assert response.headers.get("Allow") == ("POST" if status == 405 else None)


async def test_a_defect_is_a_500_that_tells_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw is logged with its trace; the client learns only that it happened."""

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ansflow_gateway.storage.sqlite.SqliteEventStore.submit", broken)
    status, problem = await gateway.send(run_finished())
    assert (status, problem["title"]) == (500, "Internal Server Error")
    assert "secret detail" not in str(problem)
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthy"])
async def test_with_a_token_everything_but_health_needs_it(start_gateway: StartGateway, path: str) -> None:
    """Without the token 401 and a challenge, with it whatever else; health is open."""
    gateway = await start_gateway(token=TOKEN)
    async with gateway.session.get(gateway.url + path) as response:
        assert response.status == 401
        assert "Bearer realm=" in response.headers["WWW-Authenticate"]
    assert (await fetch(gateway, path, Authorization=f"Bearer {TOKEN}"))[0] == (
        404 if path == "/healthy" else 200
    )
    assert (await fetch(gateway, "/health/live"))[0] == 200


@pytest.mark.parametrize(
    "credentials", ["", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ümlaut"]
)
async def test_events_with_a_wrong_token_are_refused_and_counted(
    start_gateway: StartGateway, credentials: str
) -> None:
    """Whatever isn't the token is 401, counted as unauthorized, and changes nothing."""
    gateway = await start_gateway(token=TOKEN)
    headers = {"Authorization": credentials, "Content-Type": "application/cloudevents+json"}
    async with gateway.session.post(
        gateway.url + "/v1/events", json=run_finished(), headers=headers
    ) as response:
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["field"]) == (401, "authorization")
        assert TOKEN not in str(problem)
    assert gateway.values("ansflow.gateway.events.rejected")[series(reason="unauthorized")] == 1
    assert gateway.values("cicd.pipeline.run.duration") == {}
