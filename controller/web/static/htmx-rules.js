// SPDX-License-Identifier: Apache-2.0
// What htmx may do here: put our own server's HTML into the page. It may not evaluate anything.
//
// The content security policy forbids eval and unnamed trusted types as well; this says it to htmx itself, so
// that an attribute which would need eval fails with a reason and not with a policy report.
"use strict";
(() => {
  const refuse = () => { throw new Error("nsentry's pages evaluate nothing"); };
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("nsentry", { createHTML: (text) => text })
    : { createHTML: (text) => text };
  const ours = { createHTML: (text) => policy.createHTML(text), createScript: refuse };
  htmx.registerExtension("nsentry", { init: (api) => api.initSecurity(ours, refuse, refuse) });

  document.addEventListener("htmx:after:swap", () => document.dispatchEvent(new Event("nsentry:drawn")));
  // A session that ended answers 401 to a part of a page as well: the page then says so as a whole.
  document.addEventListener("htmx:before:swap", (event) => {
    if (event.detail.ctx?.response?.status === 401) {
      event.preventDefault();
      location.assign("/login");
    }
  });
})();
