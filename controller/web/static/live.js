// SPDX-License-Identifier: Apache-2.0
// Follows the stream of changes. Counts and states are brought up to date in place; rows never move.
"use strict";
(() => {
  const path = document.body.dataset.livePath;
  if (!path) return;
  const GATHER_MS = 400; // a visit raises and escalates its alert within moments: one update for all of it
  const shows = document.body.dataset.shows;
  const mark = document.getElementById("live");
  const changed = new Set();
  let waiting = null;
  let lost = false;

  function say(state, text) {
    mark.dataset.live = state;
    document.getElementById("live-text").textContent = text;
  }

  function tell(name) {
    document.body.dispatchEvent(new CustomEvent(`nsentry:${name}`));
  }

  function refresh() {
    waiting = null;
    const alerts = [...changed];
    changed.clear();
    tell("alerts");
    if (alerts.includes(shows)) tell("visit");
    for (const alert of alerts) {
      const row = document.getElementById(`row-${alert}`);
      if (row) htmx.ajax("GET", `/alerts/${alert}/row${location.search}`, { target: row, swap: "outerMorph" });
    }
  }

  function count(open) {
    const badge = document.getElementById("open-count");
    if (badge.textContent === open) return;
    badge.textContent = open;
    badge.setAttribute("aria-label", `${open} open`);
    document.title = document.title.replace(/^\(\d+\) (?=Alerts)|^(?=Alerts)/, open === "0" ? "" : `(${open}) `);
    document.getElementById("said").textContent = `${open} open alerts`;
  }

  function soon() {
    waiting ??= setTimeout(refresh, GATHER_MS);
  }

  const stream = new EventSource(path);
  stream.addEventListener("following", () => {
    say("on", "live");
    if (lost) {
      lost = false;
      tell("visit");
      soon();
    }
  });
  stream.addEventListener("alert", (event) => {
    changed.add(JSON.parse(event.data).alert);
    soon();
  });
  stream.addEventListener("count", (event) => {
    count(event.data);
  });
  stream.addEventListener("visit", () => tell("visit"));
  stream.addEventListener("signed-out", () => {
    stream.close();
    say("off", "signed out");
  });
  stream.addEventListener("error", () => {
    lost = true;
    say("off", stream.readyState === EventSource.CLOSED ? "signed out, or refused" : "connection lost, trying again");
  });
  addEventListener("pagehide", () => stream.close());
})();
