// SPDX-License-Identifier: Apache-2.0
// The keyboard: j k move, Enter opens, x selects, a assigns, e closes, c comments, / searches, g + letter goes, ? helps.
"use strict";
(() => {
  const GO_MS = 1500;
  const rows = () => [...document.querySelectorAll("a.open, a[data-queue], tr[tabindex]")];
  let going = 0;

  function here(all) {
    const at = all.indexOf(document.activeElement);
    if (at >= 0) return at;
    const row = document.activeElement?.closest("[data-alert]");
    return row ? all.indexOf(row.querySelector("a.open")) : all.findIndex((each) => each.ariaCurrent === "page");
  }

  // In the list the focus moves; beside an open alert the next one is opened.
  function move(by) {
    const all = rows();
    const next = all[Math.min(Math.max(here(all) + by, 0), all.length - 1)];
    if (!next) return;
    if ("queue" in next.dataset) {
      if (next.ariaCurrent !== "page") next.click();
      return;
    }
    next.focus({ preventScroll: true });
    (next.closest("li, tr") ?? next).scrollIntoView({ block: "nearest" });
  }

  function row() {
    return document.activeElement?.closest("[data-alert]");
  }

  const bulk = () => document.querySelector("#bulk:not([hidden])");

  function pick(range) {
    row()?.dispatchEvent(new CustomEvent("nsentry:pick", { bubbles: true, detail: { range } }));
  }

  function openRowAt(hash) {
    const link = row()?.querySelector("a.open");
    if (link) location.assign(link.href + hash);
  }

  function close() {
    const menu = document.getElementById(bulk() ? "bulk-close" : "close");
    if (!menu) return openRowAt("#closing");
    menu.open = true;
    menu.querySelector("input[type=radio]").focus();
  }

  function comment() {
    const field = document.getElementById("comment");
    if (!field) return openRowAt("#comment");
    field.scrollIntoView({ block: "center" });
    field.focus();
  }

  function assign() {
    if (bulk()) return document.getElementById("bulk-take").click();
    const form = row()?.querySelector(".whose form") ?? document.querySelector(".triage .assign");
    form?.requestSubmit();
  }

  function search() {
    const field = document.getElementById("search");
    if (field) field.select();
    else location.assign("/alerts");
  }

  function go(letter) {
    document.querySelector(`[data-go="${CSS.escape(letter)}"]`)?.click();
  }

  function leave(event) {
    const menu = event.target.closest("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.target.matches("input, textarea, select")) event.target.blur();
  }

  const help = document.getElementById("help");
  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => pick(false),
    X: () => pick(true),
    a: assign,
    e: close,
    c: comment,
    "/": search,
    g: () => { going = Date.now(); },
    "?": () => help.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave(event);
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.target.matches("input:not(.pick), textarea, select")) return;
    const went = Date.now() - going < GO_MS;
    going = 0;
    const act = went ? () => go(event.key) : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  // Alt and a click on a facet leaves the value out.
  document.addEventListener("click", (event) => {
    const link = event.altKey ? event.target.closest("[data-out]") : null;
    if (!link) return;
    event.preventDefault();
    location.assign(link.dataset.out);
  });
  document.addEventListener("click", (event) => {
    const menu = document.querySelector("details.menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
  // A phone first shows the alerts; the filters are one tap away.
  if (matchMedia("(max-width: 900px)").matches) document.querySelector(".rail-all")?.removeAttribute("open");
  document.querySelector(".queue-side .here")?.scrollIntoView({ block: "nearest" });
  // Not the id of the panel: a browser takes the focus away when it scrolls to the target of an address.
  if (location.hash === "#closing" && document.getElementById("close")) close();
})();
