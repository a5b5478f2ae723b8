# SPDX-License-Identifier: Apache-2.0
"""Which setting wins, and what is said of one that makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import settings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "controller.toml").write_text('listen = "10.0.0.1:1"\nnames = ["a.example"]\n')
    return tmp_path


def test_flags_win_over_the_environment_over_the_file_over_defaults(folder, tmp_path):
    environment = {"NSENTRY_CONTROLLER_LISTEN": "10.0.0.2:2"}

    assert settings.load(folder, environment=environment, listen="10.0.0.3:3").port == 3
    assert settings.load(folder, environment=environment).port == 2
    assert settings.load(folder, environment={}).port == 1
    assert settings.load(tmp_path / "none", environment={}).port == 8443


def test_it_listens_on_this_host_only_unless_told(tmp_path):
    assert settings.load(tmp_path, environment={}).host == "127.0.0.1"


def test_the_state_folder_is_the_flag_the_variable_the_projects_or_the_systems(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variable = {"NSENTRY_CONTROLLER_STATE": "/elsewhere"}

    assert settings.state_dir(environment={}) == Path("/var/lib/nsentry/controller")
    (tmp_path / "var/controller").mkdir(parents=True)
    assert settings.state_dir(environment={}) == tmp_path / "var/controller"
    assert settings.state_dir(environment=variable) == Path("/elsewhere")
    assert settings.state_dir(Path("here"), variable) == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8443", ("127.0.0.1", 8443)),
        ("[::1]:0", ("::1", 0)),
        ("host.example:65535", ("host.example", 65535)),
    ],
)
def test_addresses(text, expected):
    assert settings.parse_listen(text) == expected


@pytest.mark.parametrize("text", ["8443", ":8443", "127.0.0.1", "::1:80", "a:65536", "a:b", "a b:1", ""])
def test_what_is_no_address_is_said(text):
    with pytest.raises(settings.SettingsError, match="expected ADDRESS:PORT"):
        settings.parse_listen(text)


def test_the_address_that_others_are_told_names_this_host():
    assert settings.default_url("127.0.0.1", 8443) == "https://localhost:8443"
    assert settings.default_url("::", 8443).startswith("https://")
    assert settings.default_url("2001:db8::1", 8443) == "https://[2001:db8::1]:8443"
    assert settings.default_url("192.0.2.1", 8443) == "https://192.0.2.1:8443"


@pytest.mark.parametrize("url", ["http://a:1", "https://a/b", "https://u@a", "a:1", "https://a?x"])
def test_what_is_no_address_for_browsers_is_said(tmp_path, url):
    with pytest.raises(settings.SettingsError, match="url is"):
        settings.load(tmp_path, environment={}, url=url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen = 1", r"controller\.toml.*Expected `str"),
        ("listne = 'a:1'", r"controller\.toml: there is no setting 'listne'; did you mean 'listen'\?"),
        ("[retention]\nday = 1", r"there is no setting 'day' in \[retention\]; did you mean 'days'\?"),
        ("listen", r"controller\.toml"),
        ("log_level = 'loud'", "log_level"),
        ("\ud800", r"controller\.toml"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, text, message):
    (tmp_path / "controller.toml").write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(settings.SettingsError, match=message):
        settings.load(tmp_path, environment={})


def test_what_is_written_is_read_again(tmp_path):
    values = {"listen": "[::]:1", "url": 'https://"x', "names": ("a", "b"), "store": ""}
    settings.write_file(tmp_path / "controller.toml", {**values, "url": "https://x:1"})

    loaded = settings.load(tmp_path, environment={})
    assert (loaded.host, loaded.url, loaded.names) == ("::", "https://x:1", ("a", "b"))
