"""The whole page: the frame around the sections."""

from dataclasses import dataclass
from typing import Final

from ansflow_gateway.web.status.assets import ASSETS, Assets
from ansflow_gateway.web.status.events import LiveOptions
from ansflow_gateway.web.status.history import LENGTH
from ansflow_gateway.web.status.markup import EMPTY, Markup, fill, join, link
from ansflow_gateway.web.status.sections import Sections

RELOAD_S: Final = 10
"""Seconds after which a browser without scripts loads the page again."""

_CHARTED: Final = f"last {LENGTH * LiveOptions().sample_s / 60:g} minutes"


@dataclass(frozen=True, slots=True)
class PageInfo:
    """What stays the same while the gateway runs.

    Args:
        version: The gateway's version.
        prometheus: Prometheus' address, if there is one.
        grafana: Grafana's address, if there is one.
    """

    version: str
    prometheus: str | None = None
    grafana: str | None = None


def render_page(info: PageInfo, sections: Sections, assets: Assets = ASSETS) -> Markup:
    """Render the page.

    Args:
        info: What stays the same.
        sections: The sections' present content.
        assets: The files that the page needs.

    Returns:
        The document.
    """
    return fill(
        _DOCUMENT,
        build=assets.build,
        css=assets.path("status.css"),
        js=assets.path("status.js"),
        icon=assets.path("icon.svg"),
        reload=RELOAD_S,
        version=info.version,
        links=_links(info),
        summary=sections["summary"],
        grid=_grid(sections),
    )


def _grid(sections: Sections) -> Markup:
    def section(key: str, title: str, remark: str = "") -> Markup:
        return fill(
            '<section class="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{title}{remark}</h2>'
            '<div id="{key}" data-live>{content}</div></section>',
            key=key,
            title=title,
            remark=fill(" <small>{remark}</small>", remark=remark) if remark else EMPTY,
            content=sections[key],
        )

    return join(
        (
            section("services", "Services"),
            section("store", "Event store"),
            section("system", "System", _CHARTED),
            section("business", "Business", _CHARTED),
            section("runs", "Recent runs"),
            # One above the other beside the runs, which are many.
            Markup('<div class="stack">'),
            section("deliveries", "Delivery (DORA)"),
            section("offenders", "Cardinality"),
            Markup("</div>"),
            section("refusals", "Refused", "since the start"),
        )
    )


def _links(info: PageInfo) -> Markup:
    outside = (("Grafana", info.grafana), ("Prometheus", info.prometheus))
    made = [link(url, Markup(name), name) if url else EMPTY for name, url in outside]
    made += [
        fill('<a href="{path}" data-key="{path}">{name}</a>', path=path, name=name)
        for path, name in (("/metrics", "Metrics"), ("/health/", "Health"))
    ]
    return join(fill("<li>{link}</li>", link=each) for each in made if each)


_DOCUMENT: Final = """<!doctype html>
<html lang="en" data-build="{build}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>AnsFlow gateway</title>
<link rel="icon" href="{icon}" type="image/svg+xml">
<link rel="stylesheet" href="{css}">
<script src="{js}"></script>
<noscript><meta http-equiv="refresh" content="{reload}"></noscript>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<h1>AnsFlow gateway <span class="version">{version}</span></h1>
<nav aria-label="Related pages"><ul>{links}</ul></nav>
<p id="connection" class="connection">updated by reloading</p>
<button id="theme" type="button" hidden>Theme: auto</button>
</header>
<main id="main" tabindex="-1">
<section class="summary" aria-label="Summary"><div id="summary" data-live>{summary}</div></section>
<p id="announcer" class="unseen" role="status"></p>
<div class="grid">{grid}</div>
</main>
</body>
</html>
"""
