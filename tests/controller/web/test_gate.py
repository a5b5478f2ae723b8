# SPDX-License-Identifier: Apache-2.0
"""X7: nothing without a session, no change from elsewhere; asked of a real controller over TLS."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from controller.web.forms import MAX_BODY
from controller.web.gate import csrf_token
from controller.web.routes import pages
from tests.browser.serving import dashboard

ROUTES = [route for route in pages if isinstance(route, Route)]


def addresses(method: str) -> list[str]:
    """Each route that takes the method, as an address that it matches: a number where it wants one, else x."""
    paths = {route.path for route in ROUTES if method in route.methods}
    return sorted(re.sub(r"{\w+(:path)?}", "x", re.sub(r"{\w+:int}", "1", path)) for path in paths)


GETS, POSTS = addresses("GET"), addresses("POST")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with dashboard(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(served):
    return served.session_of("ada")


@pytest.mark.parametrize("path", [*GETS, *POSTS, "/no-such-page", "/api/v1/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("cookie", ["", "wrong"])
def test_nothing_answers_without_a_session(served, path, method, cookie):
    """Every address, whether it exists or not, answers 401 and nothing else to who has no session."""
    answer = served.ask(method, path, cookie)
    assert answer.status_code in ({401, 405} if path == "/login" else {401})
    assert "set-cookie" not in answer.headers
    assert 'class="top"' not in answer.text


def test_refusal_says_how_to_get_in(served):
    """A person gets a page with the command, a program gets JSON."""
    assert "nsentry-controller login-link" in served.get("/alerts").text
    assert served.get("/alerts.json").json() == {"error": "You are not signed in, or your session has ended."}


def test_link_works_once_and_only_when_opened(served):
    """A link is not used up by who only looks at it (HEAD, prefetch), opens one session, and is then dead."""
    path = served.login_link("grace").removeprefix(served.url)
    assert served.ask("HEAD", path).status_code == 405
    assert served.get(path, headers={"sec-purpose": "prefetch"}).status_code == 405
    first = served.get(path)
    assert (first.status_code, first.headers["location"]) == (303, "/alerts")
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/", "__Host-"):
        assert word in first.headers["set-cookie"]
    again = served.get(path)
    assert again.status_code == 401
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("path", POSTS)
def test_no_change_from_another_site(served, cookie, path):
    """A form of another origin is refused although the browser sends the cookie along with it."""
    form = {"csrf": csrf_token(cookie)}
    for headers in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert served.ask("POST", path, cookie, data=form, headers=headers).status_code == 403


@pytest.mark.parametrize("path", POSTS)
def test_no_change_without_the_token(served, cookie, path):
    """A form of our own origin needs the token of this very session."""
    headers = {"origin": served.url}
    for form in ({}, {"csrf": ""}, {"csrf": csrf_token("another session")}, {"csrf": "ü"}):
        assert served.ask("POST", path, cookie, data=form, headers=headers).status_code == 403


def test_large_body_is_refused(served, cookie):
    """A form is small; what is larger is not read."""
    form = {"csrf": csrf_token(cookie), "text": "x" * MAX_BODY}
    answer = served.ask("POST", "/alerts/x/comment", cookie, data=form, headers={"origin": served.url})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/alerts", "/alerts.json", "/login", "/no-such-page", "/static/base.css", "/live"]
)
def test_every_answer_carries_the_policy(served, cookie, path):
    """X5: pages, data, refusals, the stream: each forbids inline scripts, framing and guessing of types."""
    for session in ("", cookie):
        answer = served.get(path, session, stream=True)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] in {"no-store", "no-cache"}
        answer.close()


@pytest.mark.parametrize("path", [path for path in GETS if path not in {"/login", "/live", "/"}])
def test_every_page_answers_who_has_a_session(served, cookie, path):
    """With a session each address answers: its page, or that there is no such thing. None fails."""
    assert served.get(path, cookie).status_code in {200, 404}


@pytest.mark.parametrize(
    "query", ["?page=0&since=-1h&order=x", "?severity=x&-state=&q=%00%ff", "?before=x,y", "?before=1,"]
)
def test_nonsense_in_an_address_is_left_out(served, cookie, query):
    """People edit addresses: what makes no sense in one never makes a page fail."""
    for path in ("/alerts", "/sessions", "/entries", "/alerts/counts", "/alerts.json"):
        assert served.get(path + query, cookie).status_code == 200
