"""What may be seen of URLs."""

import pytest
from ansflow_instrumentation.clients.urls import redacted
from ansflow_instrumentation.urls import redacted_query


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "%70assword",
        "private_key",
        "AccountKey",
        "otp",
        "pin",
        "card_pin",
        "sid",
        "connect.sid",
        "user%5Bpin%5D",
        "X-Amz-Security-Token",
        "AWSAccessKeyId",
        "sig",
        "code",
        "a" * 200 + "_token",
    ],
)
def test_a_secret_is_left_out(name: str) -> None:
    """The value of a parameter that is named like a secret is not seen, also if the name is encoded."""
    assert redacted_query(f"a=1&{name}=hunter2;hunter3&b=2") == f"a=1&{name}=REDACTED&b=2"
    assert redacted_query(f"a=1;{name}=hunter2;b=2") == f"a=1;{name}=REDACTED;b=2"


@pytest.mark.parametrize(
    "query",
    ["", "a=1&b=2", "country_code=de", "sort_key=name&spin=1&q=a;b&monkey=1", "password", "mail=a%40b.de&=1"],
)
def test_what_is_no_secret_stays(query: str) -> None:
    """Everything else in a query stays as it was."""
    assert redacted_query(query) == query


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://a:b@host/x#f", "http://REDACTED:REDACTED@host/x"),
        (
            "http://a:b@host/fetch/http://c:d@other/",
            "http://REDACTED:REDACTED@host/fetch/http://REDACTED:REDACTED@other/",
        ),
        ("http://host/?next=http://c:d@other/", "http://host/?next=http://REDACTED:REDACTED@other/"),
        (
            "http://host/?next=http%3A%2F%2Fc%3Ad%40other%2F&x=1",
            "http://host/?next=http%3A%2F%2FREDACTED:REDACTED%40other%2F&x=1",
        ),
        ("http://host/page;jsessionid=1a2b", "http://host/page;jsessionid=REDACTED"),
        ("http://host/page;v=1/a@b?q=1", "http://host/page;v=1/a@b?q=1"),
    ],
)
def test_every_credential_of_a_url_is_left_out(url: str, seen: str) -> None:
    """Credentials are left out of a URL wherever it has them, also in another URL within it."""
    assert redacted(url) == seen
