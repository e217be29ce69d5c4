"""The settings' file, their origins, and what is new: the store, secrets, tokens, TLS."""

import base64
import json
from pathlib import Path

import pytest
import trustme
from ansflow_gateway import config
from ansflow_gateway.config import OPTIONS, Kind
from ansflow_gateway.errors import ConfigurationError
from ansflow_gateway.web import tokens

SECRET = "an-obviously-fake-secret"
KEY = "whsec_" + base64.b64encode(bytes(32)).decode()
EXAMPLES = {
    Kind.TEXT: "'x'",
    Kind.WHOLE: "7",
    Kind.NUMBER: "7.5",
    Kind.SWITCH: "true",
    Kind.PAIRS: "{ a = 'http://a/' }",
}


def written(tmp_path: Path, text: str) -> dict[str, str]:
    """Write a file of settings; give the flag that names it."""
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    return {"config": str(file)}


def refused(flags: dict[str, str], environ: dict[str, str] | None = None) -> ConfigurationError:
    """Load settings that can't be used; give the refusal."""
    with pytest.raises(ConfigurationError) as error:
        config.load(flags, environ or {})
    return error.value


def test_flags_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    """Each setting has one value, and tells where it came from."""
    flags = written(tmp_path, "port = 1\nprobe_interval = 2\nprobe_deadline = 3.5\nhost = 'localhost'\n")
    environ = {
        "ANSFLOW_GATEWAY_PORT": "10",
        "ANSFLOW_GATEWAY_PROBE_INTERVAL": "20",
        "OTEL_SERVICE_NAME": "gate",
    }
    settings = config.load(flags | {"port": "100"}, environ)
    assert (settings.port, settings.probe_interval, settings.probe_deadline) == (100, 20, 3.5)
    shown = settings.shown()
    assert shown["port"] == {"value": 100, "origin": "--port"}
    assert shown["probe_interval"] == {"value": 20, "origin": "ANSFLOW_GATEWAY_PROBE_INTERVAL"}
    assert shown["probe_deadline"] == {"value": 3.5, "origin": f"{flags['config']}: probe_deadline"}
    assert shown["sample_interval"] == {"value": 5, "origin": "default"}
    assert shown["service_name"] == {"value": "gate", "origin": "OTEL_SERVICE_NAME"}
    assert json.loads(json.dumps(shown)) == shown


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    """What is in it counts just as well; an empty text in it is none."""
    flags = written(
        tmp_path,
        "services = { api = 'http://a/', web = 'http://w/' }\nallow_unauthenticated = true\nhost = ''",
    )
    settings = config.load({}, {"ANSFLOW_GATEWAY_CONFIG": flags["config"]})
    assert dict(settings.services) == {"api": "http://a/", "web": "http://w/"}
    assert settings.allow_unauthenticated
    assert settings.host == "127.0.0.1"
    assert dict(config.load(written(tmp_path, "services = 'a=http://a/'"), {}).services) == {"a": "http://a/"}


@pytest.mark.parametrize(
    ("text", "key", "value", "expected"),
    [
        ("prot = 1", "prot", "unknown", "a name of the flags', with _ for -; is port meant?"),
        (
            "probe-interval = 1",
            "probe-interval",
            "unknown",
            "a name of the flags', with _ for -; is probe_interval",
        ),
        ("[server]\nport = 1", "server", "unknown", "a name of the flags', with _ for -"),
        ("config = 'x'", "config", "unknown", "a name of the flags'"),
        ("port = '8080'", "port", "'8080'", "a whole number"),
        ("port = 80.5", "port", "80.5", "a whole number"),
        ("port = true", "port", "True", "a whole number"),
        ("port = 70000", "port", "'70000'", "a whole number from 0 to 65535"),
        ("retention = '30d'", "retention", "'30d'", "a number"),
        ("retention = nan", "retention", "'nan'", "a number of seconds from 60"),
        ("host = 1", "host", "1", "a string"),
        ("allow_unauthenticated = 'yes'", "allow_unauthenticated", "'yes'", "true or false"),
        ("services = ['a=http://a/']", "services", "['a=http://a/']", "a table of strings, or a string"),
        ("services = { a = 1 }", "services", "{'a': 1}", "a table of strings, or a string"),
        ("token = 12345678901234567890", "token", "***", "a string"),
        ("token = 'short'", "token", "***", "16 to 512"),
    ],
)
def test_what_the_file_may_not_say_is_refused_by_file_and_key(
    tmp_path: Path, text: str, key: str, value: str, expected: str
) -> None:
    """Unknown names, wrong types and values that can't be used; secrets aren't shown."""
    flags = written(tmp_path, text)
    error = refused(flags)
    assert (error.key, error.value) == (f"{flags['config']}: {key}", value)
    assert error.expected.startswith(expected)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """It is missing, or isn't TOML: nothing starts with half of its settings."""
    assert refused({"config": str(tmp_path / "none.toml")}).key == "--config"
    error = refused({}, {"ANSFLOW_GATEWAY_CONFIG": written(tmp_path, "port = ")["config"]})
    assert error.key == "ANSFLOW_GATEWAY_CONFIG"
    assert error.expected.startswith("a readable TOML file (")


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.in_file], ids=lambda option: option.name)
def test_each_option_takes_its_own_type_from_the_file(tmp_path: Path, option: config.Option) -> None:
    """A value of the right type gets as far as being judged; one of another type doesn't."""
    for kind, example in EXAMPLES.items():
        fits = kind is option.kind or (option.kind, kind) in {
            (Kind.NUMBER, Kind.WHOLE),
            (Kind.PAIRS, Kind.TEXT),
        }
        try:
            config.load(written(tmp_path, f"{option.name} = {example}"), {})
        except ConfigurationError as error:
            assert (error.expected != option.kind.value) is fits  # noqa: PT017 - some of them are taken
        else:
            assert fits


@pytest.mark.parametrize(
    ("environ", "store", "spool"),
    [
        ({"HOME": "/h"}, "/h/.local/state/ansflow/gateway.sqlite3", "/h/.local/state/ansflow/gateway.spool"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/ansflow/gateway.sqlite3", "/s/ansflow/gateway.spool"),
        (
            {"HOME": "/h", "XDG_STATE_HOME": "relative"},
            "/h/.local/state/ansflow/gateway.sqlite3",
            "/h/.local/state/ansflow/gateway.spool",
        ),
        ({"ANSFLOW_GATEWAY_STORE": "/data/a.db"}, "/data/a.db", "/data/a.spool"),
        ({"ANSFLOW_GATEWAY_STORE": "/data/a.db", "ANSFLOW_GATEWAY_SPOOL": "/spool"}, "/data/a.db", "/spool"),
        (
            {"HOME": "/h", "ANSFLOW_GATEWAY_STORE": "postgresql://u:p@db/gateway"},
            "postgresql://u:p@db/gateway",
            "/h/.local/state/ansflow/gateway.spool",
        ),
    ],
)
def test_the_store_is_a_file_below_the_state_directory_and_the_spool_beside_it(
    environ: dict[str, str], store: str, spool: str
) -> None:
    """Unless they are given; a database leaves the spool on this host."""
    settings = config.load({}, environ)
    assert settings.store == (store if "://" in store else Path(store))
    assert settings.spool == Path(spool)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hidden@db:5432/gateway", "postgresql://***@db:5432/gateway"),
        (
            "postgresql:///gateway?host=/run&password=hidden&x=1",
            "postgresql:///gateway?host=/run&password=***&x=1",
        ),
        ("postgres://db?sslpassword=hidden", "postgres://db?sslpassword=***"),
    ],
)
def test_a_databases_password_is_not_shown(url: str, shown: str) -> None:
    """Whether it stands before the host or among the parameters."""
    assert config.load({"store": url}, {}).shown()["store"] == {"value": shown, "origin": "--store"}


@pytest.mark.parametrize("url", ["mysql://me:hidden@h/x", "postgresql//x://hidden", "postgresql://h/a b"])
def test_another_store_is_refused_without_showing_it(url: str) -> None:
    """A slip in a URL must not print its password."""
    error = refused({"store": url})
    assert (error.key, error.value) == ("--store", "***")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("retention", ["60", "316224000"], ["59", "316224001", "inf"]),
        ("dedup_window", ["1", "10000000"], ["0", "10000001"]),
        ("queue_limit", ["1"], ["0", "-1"]),
        ("spool_quota", ["0", "268435456"], ["-1", "1e9"]),
        ("run_deadline", ["86400", "1"], ["0", "nan"]),
        ("start_deadline", ["60"], ["0"]),
        ("gauge_ttl", ["3600"], ["0.5"]),
        ("push_delay", ["0.5", "0.01"], ["0", "3601"]),
        ("availability_objective", ["0.9995", "0.5"], ["0", "1", "99.95", "x"]),
        ("prometheus_url", ["http://127.0.0.1:9090", ""], ["127.0.0.1:9090"]),
        ("grafana_url", ["https://g/x"], ["ftp://g"]),
        (
            "trace_url",
            ["http://g/explore?id={trace_id}", ""],
            ["http://g/explore", "{trace_id}", "http://g/{trace_id}/{trace_id}"],
        ),
    ],
)
def test_new_settings_have_bounds(name: str, good: list[str], bad: list[str]) -> None:
    """What is within them is taken, what is beyond is refused by its key."""
    for value in good:
        config.load({name: value}, {})
    for value in bad:
        assert refused({name: value}).key == "--" + name.replace("_", "-")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("github_secret", SECRET),
        ("gitlab_token", SECRET),
        ("gitlab_signing_secret", KEY),
        ("jenkins_token", SECRET),
    ],
)
def test_secrets_come_from_a_file_or_directly_and_are_never_shown(
    tmp_path: Path, name: str, secret: str
) -> None:
    """A file's path may be shown; a secret, and what can't be one, may not."""
    assert getattr(config.load({}, {}), name) is None
    variable = "ANSFLOW_GATEWAY_" + name.upper()
    settings = config.load({}, {variable: secret})
    assert settings.shown()[name] == {"value": "***", "origin": variable}
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n{secret}\n")
    settings = config.load({}, {variable + "_FILE": str(file)})
    assert settings.shown()[name] == {"value": str(file), "origin": variable + "_FILE"}
    assert len(getattr(settings, name).source()()) == 2
    assert secret not in str(settings.shown())
    for bad in ("short", f"{secret}\n" * 3, "\n", secret + "ä"):
        file.write_text(bad)
        error = refused({name + "_file": str(file)})
        assert error.key == f"--{name}-file".replace("_", "-")
        assert bad not in str(error) or bad == "\n"
    assert refused({}, {variable: "short"}).value == "***"
    assert refused({name: secret, name + "_file": str(file)}).expected.startswith("nothing where --")


def test_tokens_open_the_gateway_beyond_loopback(tmp_path: Path) -> None:
    """A tokens file is protection enough; one that can't be used is refused at the start."""
    file = tmp_path / "tokens.toml"
    file.write_text(tokens.make("ci", ["events:write"])[1])
    beyond = {"host": "0.0.0.0"}  # noqa: S104 - nothing is listened on here
    assert config.load({**beyond, "tokens_file": str(file)}, {}).tokens_file == file
    file.write_text("[[tokens]]\nname = 'ci'\nsha256 = 'x'\nscopes = []")
    error = refused({"tokens_file": str(file)})
    assert error.key == "--tokens-file"
    assert "tokens[0].sha256" in error.expected


def test_tls_needs_a_certificate_and_its_key(tmp_path: Path) -> None:
    """Both are given, and belong together, or nothing starts."""
    authority = trustme.CA()
    for name in ("a", "b"):
        issued = authority.issue_cert("gateway.example.test")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    cert, key, other = (str(tmp_path / name) for name in ("a.pem", "a.key", "b.key"))
    settings = config.load({"tls_cert": cert, "tls_key": key}, {})
    assert settings.tls is not None
    assert settings.shown()["tls_key"] == {"value": key, "origin": "--tls-key"}
    assert refused({"tls_cert": cert}).key == "--tls-key"
    assert refused({"tls_key": key}).key == "--tls-cert"
    assert refused({"tls_cert": cert, "tls_key": other}).key == "--tls-cert"
    assert refused({"tls_cert": cert, "tls_key": str(tmp_path / "none")}).key == "--tls-cert"
    assert refused({"tls_cert": key, "tls_key": key}).key == "--tls-cert"
