"""The page in a real browser: what it loads, how it is operated, what a screen reader is told."""

import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ansflow_gateway.web.status.events import LiveOptions
from ansflow_gateway.web.status.source import ServiceState
from support.chromium import Tab, chromium_tab
from support.gateway import eventually
from support.status import EMPTY_VIEW, StatusServer, ToldSource, full_view, hostile_view, serve_status

TAB = ("Tab", 9)
_COLOURS_OF_A_REAL_PAGE = 20
_ROWS = 200  # the header, the summary, and some services


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    """Give a browser's tab."""
    profile = tmp_path / "profile"
    profile.mkdir()
    async with chromium_tab(profile) as opened:
        yield opened


async def open_live(tab: Tab, server: StatusServer) -> None:
    """Open the page, and wait until it is kept up to date."""
    await tab.open(server.url + "/")
    await tab.until("document.getElementById('connection').textContent === 'live'")


async def test_the_page_loads_clean_in_light_and_dark(tab: Tab, server: StatusServer, tmp_path: Path) -> None:
    """No complaint on the console, no violation of the policy; both pictures show something, and differ."""
    await tab.prefer(prefers_color_scheme="light")
    await open_live(tab, server)
    light = pixels(await tab.screenshot(tmp_path / "light.png"))
    await tab.prefer(prefers_color_scheme="dark")
    dark = pixels(await tab.screenshot(tmp_path / "dark.png"))
    assert tab.complaints == []
    for picture in (light, dark):
        assert len(set(picture)) > _COLOURS_OF_A_REAL_PAGE
    assert brightness(light) > 200 > 80 > brightness(dark)
    assert await tab.run("document.documentElement.scrollWidth <= innerWidth")


async def test_a_hostile_view_does_nothing_in_a_browser(tab: Tab, server: StatusServer) -> None:
    """Neither in the first page nor in an update does anything that was smuggled in run."""
    server.source.shown = hostile_view()
    await open_live(tab, server)
    server.source.shown = replace(full_view(), services=hostile_view().services)
    await tab.until("document.getElementById('runs').textContent.includes('nightly-regression-tests')")
    assert await tab.run("document.querySelectorAll('main script, [onmouseover]').length") == 0
    assert await tab.run("document.getElementById('services').textContent.includes('<script>alert(1)')")
    assert tab.complaints == []


async def test_the_policy_stops_inline_scripts(tab: Tab, server: StatusServer) -> None:
    """The check for complaints above isn't blind: an inline script is stopped, and complained of."""
    await open_live(tab, server)
    await tab.run(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
    )

    def complained() -> None:
        assert any("Content Security Policy" in complaint for complaint in tab.complaints)

    await eventually(complained)
    assert not await tab.run("Boolean(window.ran)")


async def test_values_change_without_a_reload_and_the_focus_stays(tab: Tab, server: StatusServer) -> None:
    """An update comes into the page that is there; a focused link stays so; what matters is announced."""
    await open_live(tab, server)
    await tab.run("window.sameDocument = true; document.querySelector('#runs a').focus()")
    key = await tab.run("document.activeElement.dataset.key")
    view = full_view()
    services = tuple(replace(service, state=ServiceState.UP, problem=None) for service in view.services)
    runs = tuple(replace(run, project="changed") for run in view.runs)
    server.source.shown = replace(view, services=services, runs=runs)
    await tab.until("document.querySelector('#runs tbody td').textContent === 'changed'")
    await tab.until("document.getElementById('announcer').textContent.includes('All is well')")
    assert await tab.run("window.sameDocument")
    assert await tab.run("document.activeElement.dataset.key") == key
    assert tab.complaints == []


async def test_the_stream_is_taken_up_again_after_a_restart(tab: Tab) -> None:
    """While the gateway is away the page says so; when it is back the page goes on with its new values."""
    options = LiveOptions(tick_s=0.05, sample_s=100)
    async with serve_status(ToldSource(EMPTY_VIEW), options) as server:
        await open_live(tab, server)
        await tab.run("window.sameDocument = true")
    await tab.until("document.getElementById('connection').textContent.includes('connection lost')")
    port = int(server.url.rpartition(":")[2])
    async with serve_status(ToldSource(full_view()), options, port):
        await tab.until("document.getElementById('connection').textContent === 'live'")
        await tab.until("document.getElementById('runs').textContent.includes('nightly-regression-tests')")
        assert await tab.run("window.sameDocument")


async def test_the_keyboard_reaches_everything_in_order(tab: Tab, server: StatusServer) -> None:
    """Tab goes through all controls in the page's order; each is seen to have the focus; the first skips."""
    await open_live(tab, server)
    expected = await tab.run(
        "[...document.querySelectorAll('a[href], button, [tabindex=\"0\"]')]"
        ".map(e => e.dataset.key ?? e.id ?? '').length"
    )
    reached: list[str] = []
    for _ in range(expected):
        await tab.press(*TAB)
        focused: dict[str, Any] = await tab.run(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " const all = [...document.querySelectorAll('*')];"
            " return {name: e.dataset.key ?? e.id ?? e.textContent, place: all.indexOf(e),"
            " seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,"
            " inside: e.getBoundingClientRect().bottom > 0}; })()"
        )
        assert focused["seen"], focused
        assert focused["inside"], focused
        reached.append(f"{focused['place']:06d} {focused['name']}")
    assert reached == sorted(set(reached))
    assert len(reached) == expected > 20


async def test_the_skip_link_leads_to_the_content(tab: Tab, server: StatusServer) -> None:
    """Enter on the first control puts the focus at the main content."""
    await open_live(tab, server)
    await tab.press(*TAB)
    await tab.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r")
    await tab.until("document.activeElement.id === 'main'")


async def test_a_chosen_theme_wins_and_is_remembered(tab: Tab, server: StatusServer) -> None:
    """The button goes through auto, light and dark; a reload keeps the choice against the system's."""
    await tab.prefer(prefers_color_scheme="light")
    await open_live(tab, server)
    background = "getComputedStyle(document.body).backgroundColor"
    light = await tab.run(background)
    for expected in ("Theme: light", "Theme: dark"):
        await tab.run("document.getElementById('theme').click()")
        assert await tab.run("document.getElementById('theme').textContent") == expected
    dark = await tab.run(background)
    assert dark != light
    await open_live(tab, server)
    assert await tab.run(background) == dark
    assert await tab.run("document.getElementById('theme').textContent") == "Theme: dark"


async def test_nothing_moves_for_those_who_ask_for_it(tab: Tab, server: StatusServer) -> None:
    """With reduced motion asked for, no element has an animation; without, a lost connection pulses."""
    await tab.prefer(prefers_reduced_motion="no-preference")
    await open_live(tab, server)
    server.live.close()
    await tab.until("document.getElementById('connection').dataset.state === 'lost'")
    animations = "document.getAnimations().length"
    assert await tab.run(animations) == 1
    await tab.prefer(prefers_reduced_motion="reduce")
    assert await tab.run(animations) == 0


async def test_without_scripts_the_page_is_whole_and_reloads(tab: Tab, server: StatusServer) -> None:
    """All sections are there; no button that does nothing is; the page loads again by itself."""
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(server.url + "/")
    nodes = await accessible(tab)
    text = " ".join(name for _, name in nodes)
    for shown in ("fastapi is down", "nightly-regression-tests", "cicd.pipeline.run.duration"):
        assert shown in text
    assert not [name for role, name in nodes if role == "button"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url + "/", headers={"Accept": "text/html"}) as answer,
    ):
        assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in await answer.text()


async def test_a_screen_reader_is_told_what_there_is(tab: Tab, server: StatusServer) -> None:
    """Landmarks, headings, and a name for every control, table, region and picture."""
    await open_live(tab, server)
    nodes = await accessible(tab)
    roles = [role for role, _ in nodes]
    for landmark in ("banner", "navigation", "main"):
        assert roles.count(landmark) == 1
    headings = [name for role, name in nodes if role == "heading"]
    assert headings[0].startswith("AnsFlow gateway")
    for heading in ("Services", "Event store", "Recent runs", "Delivery (DORA)", "Cardinality"):
        assert heading in headings
    named = ("link", "button", "table", "region", "image", "navigation", "columnheader", "rowheader")
    assert not [role for role, name in nodes if role in named and not name.strip()]
    assert roles.count("table") == 6
    charts = [name for role, name in nodes if role == "image"]
    assert any(name.startswith("CPU: ") and "at last" in name for name in charts)
    assert roles.count("status") == 1
    assert await tab.run("document.documentElement.lang") == "en"


async def test_texts_stand_out_from_what_is_behind(tab: Tab, server: StatusServer) -> None:
    """Every text has a contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), in light and in dark."""
    await open_live(tab, server)
    for scheme in ("light", "dark"):
        await tab.prefer(prefers_color_scheme=scheme)
        assert await tab.run(_WEAK_TEXTS) == [], scheme


_WEAK_TEXTS = """(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error("nothing behind");
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, script, .unseen")) continue;
    const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) weak.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return weak;
})()"""


async def accessible(tab: Tab) -> list[tuple[str, str]]:
    """Return role and name of all nodes of the accessibility tree that count, in order."""
    tree = await tab.call("Accessibility.getFullAXTree")
    return [
        (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
        for node in tree["nodes"]
        if not node["ignored"]
    ]


def pixels(png: bytes) -> list[tuple[int, ...]]:
    """Decode some pixels of the first rows of a PNG as Chromium writes it: 8 bits a channel, not interlaced.

    Source: https://www.w3.org/TR/png-3/
    """
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    assert (depth, interlaced) == (8, 0)
    size = {2: 3, 6: 4}[colour_type]
    compressed, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            compressed += png[place + 8 : place + 8 + length]
        place += length + 12
    data = zlib.decompress(compressed)
    stride = width * size
    row = bytearray(stride)
    found: list[tuple[int, ...]] = []
    for number in range(min(height, _ROWS)):
        start = number * (stride + 1)
        row = _unfiltered(data[start], data[start + 1 : start + 1 + stride], row, size)
        if number % 7 == 0:
            found += [tuple(row[x : x + 3]) for x in range(0, stride, size * 5)]
    return found


def _unfiltered(kind: int, line: bytes, above: bytearray, size: int) -> bytearray:
    out = bytearray(line)
    if kind == 2:
        return bytearray((value + up) & 255 for value, up in zip(line, above, strict=True))
    for place in range(len(line) if kind else 0):
        left = out[place - size] if place >= size else 0
        up = above[place]
        corner = above[place - size] if place >= size else 0
        guess = left + up - corner
        paeth = min((left, up, corner), key=lambda near: abs(guess - near))
        out[place] = (line[place] + {1: left, 3: (left + up) // 2, 4: paeth}[kind]) & 255
    return out


def brightness(picture: list[tuple[int, ...]]) -> float:
    """Return the mean of all channels, 0 to 255."""
    return sum(map(sum, picture)) / (3 * len(picture))
