// SPDX-License-Identifier: Apache-2.0
// Dark, light, or as the system says. In the head, so that the page is never drawn in the wrong colours first.
"use strict";
(() => {
  const LOOKS = ["auto", "dark", "light"];
  const chosen = () => (LOOKS.includes(localStorage.getItem("look")) ? localStorage.getItem("look") : "auto");
  const apply = () => {
    const look = chosen();
    if (look === "auto") delete document.documentElement.dataset.look;
    else document.documentElement.dataset.look = look;
  };
  const name = () => {
    const shown = document.getElementById("look-text");
    if (shown) shown.textContent = chosen();
  };
  apply();
  document.addEventListener("DOMContentLoaded", name);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#look")) return;
    localStorage.setItem("look", LOOKS[(LOOKS.indexOf(chosen()) + 1) % LOOKS.length]);
    apply();
    name();
  });
})();
