// SPDX-License-Identifier: Apache-2.0
// Several alerts at once: boxes, x, shift for a range. What is chosen is kept by id, whatever becomes of the rows.
"use strict";
(() => {
  const bar = document.getElementById("bulk");
  const list = document.getElementById("alerts");
  if (!bar || !list) return;
  const chosen = new Set();
  let last = null;

  const boxes = () => [...list.querySelectorAll(".pick")];

  function show() {
    for (const box of boxes()) {
      const on = chosen.has(box.value);
      if (box.checked !== on) box.checked = on;
      box.closest(".alert").classList.toggle("picked", on);
    }
    bar.hidden = chosen.size === 0;
    bar.elements.alerts.value = [...chosen].join(",");
    document.getElementById("bulk-count").textContent = `${chosen.size} selected`;
  }

  function pick(box, on, range) {
    const all = boxes();
    const from = range ? all.findIndex((each) => each.value === last) : -1;
    const to = all.indexOf(box);
    const these = from < 0 ? [box] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of these) chosen[on ? "add" : "delete"](each.value);
    last = box.value;
    show();
  }

  list.addEventListener("click", (event) => {
    const box = event.target.closest(".pick");
    if (box) pick(box, box.checked, event.shiftKey);
  });
  document.getElementById("bulk-all").addEventListener("click", () => {
    for (const box of boxes()) chosen.add(box.value);
    show();
  });
  document.getElementById("bulk-none").addEventListener("click", () => {
    chosen.clear();
    show();
    list.querySelector("a.open")?.focus();
  });
  // The keys of keys.js: x of the row that has the focus, X from the row that was chosen last.
  document.addEventListener("nsentry:pick", (event) => {
    const box = event.target.querySelector(".pick");
    if (box) pick(box, event.detail.range || !box.checked, event.detail.range);
  });
  new MutationObserver(show).observe(list, { childList: true, subtree: true });
  show(); // a browser that goes back may have kept the boxes as they were
})();
