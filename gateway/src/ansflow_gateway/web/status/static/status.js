"use strict";

// Loaded before the body, so that a chosen theme is there before the first paint.
const THEMES = ["auto", "light", "dark"];
const root = document.documentElement;

function storedTheme() {
  try {
    const theme = localStorage.getItem("theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage may be forbidden
  }
}

function applyTheme(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
}

function setUpTheme(button) {
  let theme = storedTheme();
  const show = () => (button.textContent = `Theme: ${theme}`);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    applyTheme(theme);
    show();
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // chosen for this page alone, then
    }
  });
  show();
  button.hidden = false;
}

// Puts a section's new content in place; the focus and how far tables are scrolled stay.
function replace(section, html) {
  const focused = section.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const scrolled = new Map();
  for (const region of section.querySelectorAll(".scroll")) {
    scrolled.set(region.dataset.key, [region.scrollLeft, region.scrollTop]);
  }
  const find = (key) => section.querySelector(`[data-key="${CSS.escape(key)}"]`);
  section.innerHTML = html; // escaped where it was made
  for (const [key, [left, top]] of scrolled) {
    const region = find(key);
    if (region) [region.scrollLeft, region.scrollTop] = [left, top];
  }
  if (focused) find(focused)?.focus({ preventScroll: true });
}

function setUpUpdates() {
  const connection = document.getElementById("connection");
  const announcer = document.getElementById("announcer");
  const headline = () => document.querySelector("[data-announce]")?.textContent.trim();
  let announced = headline();

  const show = (state, text) => {
    connection.dataset.state = state;
    connection.textContent = text;
  };

  const connect = () => {
    const source = new EventSource("/status/events");
    source.addEventListener("hello", (event) => {
      if (event.data !== root.dataset.build) location.reload(); // the gateway is of another version now
      show("live", "live");
    });
    source.addEventListener("section", (event) => {
      const { id, html } = JSON.parse(event.data);
      const section = document.getElementById(id);
      if (!section || section.dataset.live === undefined) return;
      replace(section, html);
      // Only what matters is read out, and only when it changes.
      if (id === "summary" && headline() !== announced) {
        announced = headline();
        announcer.textContent = announced;
      }
    });
    source.addEventListener("error", () => {
      show("lost", "connection lost, trying again");
      // The browser tries again by itself, but not after an answer that isn't a stream (too many pages open).
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 10_000);
    });
  };

  show("lost", "connecting");
  connect();
}

applyTheme(storedTheme());
document.addEventListener("DOMContentLoaded", () => {
  setUpTheme(document.getElementById("theme"));
  setUpUpdates();
});
