// SPDX-License-Identifier: Apache-2.0
// Alerts over time: the arrow keys go from bar to bar, Enter leads to its stretch, a drag to the one between.
"use strict";
(() => {
  const drawing = document.getElementById("histogram");
  if (!drawing) return;
  const bars = [...drawing.querySelectorAll("a")];
  const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
  let began = null;

  for (const bar of bars.slice(1)) bar.setAttribute("tabindex", "-1");
  drawing.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const at = bars.indexOf(event.target.closest("a"));
    if (!step || at < 0) return;
    event.preventDefault();
    bars[Math.min(Math.max(at + step, 0), bars.length - 1)].focus();
  });

  function second(event) {
    const box = drawing.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const [from, to] = [Number(drawing.dataset.from), Number(drawing.dataset.to)];
    return Math.round(from + part * (to - from));
  }

  drawing.addEventListener("dragstart", (event) => event.preventDefault());
  drawing.addEventListener("pointerdown", (event) => { began = event.clientX; });
  addEventListener("pointerup", (event) => {
    const from = began;
    began = null;
    if (from === null || Math.abs(event.clientX - from) < 5) return;
    const ends = [second({ clientX: from }), second(event)].sort((a, b) => a - b);
    const address = new URL(drawing.dataset.zoom, location.href);
    address.searchParams.set("at", `${ends[0]}-${Math.max(ends[1], ends[0] + 1)}`);
    location.assign(address);
  });
})();
