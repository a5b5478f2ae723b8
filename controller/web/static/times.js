// SPDX-License-Identifier: Apache-2.0
// Times: UTC as the server writes them, or local; "3 min ago" stays true while the page is open.
"use strict";
(() => {
  const local = () => localStorage.getItem("clock") === "local";
  const two = (number) => String(number).padStart(2, "0");

  function exact(when) {
    return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ` +
      `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  }

  function utc(when) {
    return when.toISOString().slice(0, 19).replace("T", " ");
  }

  function ago(when) {
    const seconds = Math.max(0, Math.floor((Date.now() - when) / 1000));
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    }
    return seconds < 2 ? "just now" : `${seconds} s ago`;
  }

  function draw() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const when = new Date(time.dateTime);
      const whole = local() ? exact(when) : utc(when);
      time.title = `${whole} ${local() ? "local time" : "UTC"}`;
      const shown = "ago" in time.dataset ? ago(when) : whole;
      if (time.textContent !== shown) time.textContent = shown;
    }
    document.getElementById("clock-text").textContent = local() ? "local" : "UTC";
  }

  document.getElementById("clock").addEventListener("click", () => {
    localStorage.setItem("clock", local() ? "utc" : "local");
    draw();
  });
  document.addEventListener("nsentry:drawn", draw);
  setInterval(draw, 10000);
  draw();
})();
