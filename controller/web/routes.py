# SPDX-License-Identifier: Apache-2.0
"""The dashboard's addresses. Every page of data has a twin that ends in .json.

`routes` goes last into the application's table: it answers everything that nobody else does, after the gate.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route

from controller.web import baselines, bulk, errors, login, normal, static, triage, views
from controller.web.alert import alert_json, alert_page
from controller.web.alerts import alert_row, alerts_counts, alerts_json, alerts_page
from controller.web.containers import container_json, container_page, containers_json, containers_page
from controller.web.coverage import coverage_json, coverage_page
from controller.web.detections import detection_json, detection_page, detections_json, detections_page
from controller.web.entries import entries_json, entries_page, entry_json
from controller.web.exports import export_json, export_page, exports_json, exports_page
from controller.web.forms import MAX_BODY, change
from controller.web.gate import SessionRequired
from controller.web.headers import SecurityHeaders
from controller.web.hosts import host_json, host_page, hosts_json, hosts_page
from controller.web.live import live
from controller.web.records import records_json, records_page
from controller.web.sessions import session_json, session_page, sessions_json, sessions_page

pages: list[BaseRoute] = [
    Route("/", RedirectResponse("/alerts", 303), methods=["GET"]),
    Route("/alerts", alerts_page),
    Route("/alerts.json", alerts_json),
    Route("/alerts/counts", alerts_counts),
    Route("/alerts/bulk", change(bulk.bulk), methods=["POST"]),
    Route("/alerts/views/save", change(views.save), methods=["POST"]),
    Route("/alerts/views/remove", change(views.remove), methods=["POST"]),
    Route("/alerts/{alert}.json", alert_json),
    Route("/alerts/{alert}", alert_page),
    Route("/alerts/{alert}/row", alert_row),
    Route("/alerts/{alert}/state", change(triage.state), methods=["POST"]),
    Route("/alerts/{alert}/assign", change(triage.assign), methods=["POST"]),
    Route("/alerts/{alert}/comment", change(triage.comment), methods=["POST"]),
    Route("/entries", entries_page),
    Route("/entries.json", entries_json),
    Route("/entries/{entry:path}.json", entry_json),
    Route("/records", records_page),
    Route("/records.json", records_json),
    Route("/coverage", coverage_page),
    Route("/coverage.json", coverage_json),
    Route("/sessions", sessions_page),
    Route("/sessions.json", sessions_json),
    Route("/sessions/{session:path}/approve", change(baselines.approve), methods=["POST"]),
    Route("/sessions/{session:path}.json", session_json),
    Route("/sessions/{session:path}", session_page),
    Route("/containers", containers_page),
    Route("/containers.json", containers_json),
    Route("/containers/{host}/{container:path}.json", container_json),
    Route("/containers/{host}/{container:path}", container_page),
    Route("/hosts", hosts_page),
    Route("/hosts.json", hosts_json),
    Route("/hosts/{host}.json", host_json),
    Route("/hosts/{host}", host_page),
    Route("/detections", detections_page),
    Route("/detections.json", detections_json),
    Route("/detections/{detection}.json", detection_json),
    Route("/detections/{detection}", detection_page),
    Route("/exports", exports_page),
    Route("/exports.json", exports_json),
    Route("/exports/{export}.json", export_json),
    Route("/exports/{export}", export_page),
    Route("/exceptions", normal.exceptions_page, methods=["GET"]),
    Route("/exceptions", change(normal.add_exception), methods=["POST"]),
    Route("/exceptions.json", normal.exceptions_json),
    Route("/exceptions/{name}.json", normal.exception_json),
    Route("/exceptions/{name}", normal.exception_page),
    Route("/exceptions/{name}/remove", change(normal.remove_exception), methods=["POST"]),
    Route("/exceptions/{name}/extend", change(normal.extend_exception), methods=["POST"]),
    Route("/approvals", normal.approvals_page, methods=["GET"]),
    Route("/approvals", change(normal.add_approval), methods=["POST"]),
    Route("/approvals.json", normal.approvals_json),
    Route("/approvals/{number:int}.json", normal.approval_json),
    Route("/approvals/{number:int}", normal.approval_page),
    Route("/approvals/{number:int}/revoke", change(normal.revoke_approval), methods=["POST"]),
    Route("/baselines", baselines.baselines_page),
    Route("/baselines.json", baselines.baselines_json),
    Route("/baselines/{subject:path}/decide", change(baselines.decide), methods=["POST"]),
    Route("/baselines/{subject:path}/state", change(baselines.state), methods=["POST"]),
    Route("/baselines/{subject:path}.json", baselines.baseline_json),
    Route("/baselines/{subject:path}", baselines.baseline_page),
    Route("/audit", normal.audit_page),
    Route("/audit.json", normal.audit_json),
    Route("/live", live),
    Route("/login", login.login),
    Route("/logout", change(login.logout), methods=["POST"]),
    Mount("/static", static.Files(directory=static.FOLDER)),
]

routes: list[BaseRoute] = [
    Mount(
        "/",
        routes=pages,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(ServerErrorMiddleware, handler=errors.failed),
            Middleware(SessionRequired),
            Middleware(ExceptionMiddleware, handlers=errors.HANDLERS),
        ],
        max_body_size=MAX_BODY,
        name="web",
    )
]
