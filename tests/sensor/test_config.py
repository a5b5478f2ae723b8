# SPDX-License-Identifier: Apache-2.0
"""Configuration: one order of precedence, an origin for each value, and no mistake that passes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.config import Config
from sensor.config_keys import BY_NAME, KEYS
from sensor.fault import ExitCode, Fault


@pytest.fixture
def load(tmp_path):
    """Loads in an empty folder with an empty environment; keyword: the text of sensor.toml."""

    def load(flags=None, environment=None, toml=None, parts=None, **more) -> Config:
        file = None
        if toml is not None:
            file = tmp_path / "sensor.toml"
            file.write_text(toml)
        for name, text in (parts or {}).items():
            (tmp_path / "conf.d").mkdir(exist_ok=True)
            (tmp_path / "conf.d" / name).write_text(text)
        return Config.load(flags, file, environment or {}, tmp_path, **more)

    return load


def bad(call) -> str:
    with pytest.raises(Fault) as caught:
        call()
    assert caught.value.exit_code == ExitCode.CONFIG
    return caught.value.sentence


def test_defaults_hold_where_nothing_is_set(load):
    config = load()
    assert config.state_dir == Path("/var/lib/nsentry/sensor")
    assert (config.loader, config.hook) == ("auto", "auto")
    assert config.controller.url is None
    assert set(config.origins.values()) == {"default"}


def test_each_layer_goes_over_the_one_below(load, tmp_path):
    config = load(
        flags={"loader": "core", "hook": "kprobe"},
        environment={"NSENTRY_SENSOR_LOADER": "bcc", "NSENTRY_SENSOR_LOG_FORMAT": "json"},
        toml="loader = 'auto'\n[log]\nlevel = 'error'\nformat = 'plain'\n[heartbeat]\ninterval_s = 5",
        parts={"10.toml": "[log]\nlevel = 'debug'", "20.toml": "[log]\nlevel = 'warning'"},
    )
    assert (config.loader, config.hook) == ("core", "kprobe")
    assert (config.log.level, config.log.format) == ("warning", "json")
    assert config.heartbeat.interval_s == 5.0
    assert config.origins["loader"] == "flag"
    assert config.origins["log.format"] == "$NSENTRY_SENSOR_LOG_FORMAT"
    assert config.origins["log.level"] == str(tmp_path / "conf.d" / "20.toml")
    assert config.origins["heartbeat.interval_s"] == str(tmp_path / "sensor.toml")
    assert config.origins["spool.max_bytes"] == "default"


def test_files_beside_a_main_file_that_is_not_there_count_as_well(tmp_path):
    (tmp_path / "var/sensor/conf.d").mkdir(parents=True)
    (tmp_path / "var/sensor/conf.d/loader.toml").write_text("loader = 'bcc'")
    assert Config.load(None, None, {}, tmp_path).loader == "bcc"


def test_the_file_is_looked_for_in_the_documented_order(tmp_path):
    (tmp_path / "var/sensor").mkdir(parents=True)
    (tmp_path / "var/sensor/sensor.toml").write_text("loader = 'bcc'")
    (tmp_path / "named.toml").write_text("loader = 'core'")
    environment = {"NSENTRY_SENSOR_CONFIG": "named.toml"}
    assert Config.load(None, None, {}, tmp_path).loader == "bcc"
    assert Config.load(None, None, environment, tmp_path).loader == "core"
    assert Config.load(None, tmp_path / "var/sensor/sensor.toml", environment, tmp_path).loader == "bcc"


def test_a_local_state_folder_is_used_where_it_exists(tmp_path):
    (tmp_path / "var/sensor").mkdir(parents=True)
    assert Config.load(None, None, {}, tmp_path).state_dir == tmp_path / "var/sensor"


def test_relative_paths_start_where_they_are_written(load, tmp_path):
    config = load(
        flags={"controller.ca": "pinned.pem"},
        toml="state_dir = 'state'",
        parts={"a.toml": "docker.sockets = ['d.sock']"},
    )
    assert config.state_dir == tmp_path / "state"
    assert config.docker.sockets == (tmp_path / "conf.d/d.sock",)
    assert config.controller.ca == tmp_path / "pinned.pem"


def test_of_a_table_s_name_too_the_nearest_is_told(load):
    assert bad(lambda: load(toml="spol = 1")).endswith("there is no setting 'spol'; did you mean 'spool'?")


def test_an_unknown_key_is_an_error_with_place_and_a_guess(load, tmp_path):
    sentence = bad(lambda: load(toml="[spool]\nmax_byte = 1"))
    assert (
        sentence
        == f"{tmp_path / 'sensor.toml'}: there is no setting 'spool.max_byte'; did you mean 'spool.max_bytes'?"
    )
    assert "conf.d/x.toml: there is no setting 'zzzz'" in bad(
        lambda: load(toml="", parts={"x.toml": "zzzz = 1"})
    )
    assert bad(lambda: load({"nope": 1})).startswith("flag: there is no setting 'nope'")


def test_an_unknown_variable_of_the_sensor_is_an_error_and_of_others_none(load):
    assert bad(lambda: load(environment={"NSENTRY_SENSOR_LODER": "bcc"})).startswith(
        "$NSENTRY_SENSOR_LODER: "
    )
    assert load(environment={"NSENTRY_CONTROLLER_STATE": "/x"}).loader == "auto"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("loader = 'ebpf'", "loader: one of auto, bcc, core was expected, not 'ebpf'"),
        ("loader = 7", "loader: one of auto, bcc, core was expected, not 7"),
        ("state_dir = 7", "state_dir: text was expected, not 7"),
        ("spool.max_bytes = '64 MB'", "spool.max_bytes: a whole number was expected"),
        ("spool.max_bytes = 1.5", "spool.max_bytes: a whole number was expected"),
        ("spool.max_bytes = true", "spool.max_bytes: a whole number was expected"),
        ("spool.max_bytes = 1", "spool.max_bytes: 1 is out of bounds"),
        ("heartbeat.interval_s = 0", "heartbeat.interval_s: 0 is out of bounds"),
        ("heartbeat.interval_s = nan", "heartbeat.interval_s: nan is out of bounds"),
        ("docker.sockets = 7", "docker.sockets: a list was expected"),
        ("docker.sockets = [7]", "docker.sockets: text was expected"),
        ("redact.patterns = ['(']", "redact.patterns: '(' is not a regular expression"),
        ("controller.url = 'http://c'", "controller.url: an address such as https://HOST:PORT was expected"),
        ("controller.url = 'https://c/api'", "controller.url: only scheme, host and port belong here"),
        ("controller.url = 'https://u:p@c'", "controller.url: only scheme, host and port belong here"),
        ("controller = 7", "there is no setting 'controller'"),
        ("[loader]\nx = 1", "loader: one of"),
        ("loader =", "not TOML"),
    ],
)
def test_a_wrong_value_is_an_error_with_file_and_key(load, tmp_path, toml, words):
    sentence = bad(lambda: load(toml=toml))
    assert sentence.startswith(f"{tmp_path / 'sensor.toml'}: ")
    assert words in sentence


def test_a_file_that_was_asked_for_has_to_be_there(tmp_path):
    assert "No such file" in bad(lambda: Config.load(None, tmp_path / "no.toml", {}, tmp_path))
    assert "No such file" in bad(
        lambda: Config.load(None, None, {"NSENTRY_SENSOR_CONFIG": "no.toml"}, tmp_path)
    )
    (tmp_path / "latin.toml").write_bytes(b"loader = '\xe4'")
    assert "not UTF-8" in bad(lambda: Config.load(None, tmp_path / "latin.toml", {}, tmp_path))


def test_lists_in_the_environment_are_toml_arrays_or_one_item(load):
    assert load(environment={"NSENTRY_SENSOR_REDACT_PATTERNS": '["a,b", "c:d"]'}).redact.patterns == (
        "a,b",
        "c:d",
    )
    assert load(environment={"NSENTRY_SENSOR_REDACT_PATTERNS": "a,b"}).redact.patterns == ("a,b",)
    assert load(environment={"NSENTRY_SENSOR_REDACT_PATTERNS": "[]"}).redact.patterns == ()
    assert "TOML array" in bad(lambda: load(environment={"NSENTRY_SENSOR_REDACT_PATTERNS": "[a"}))


def test_values_show_every_key_and_no_password(load):
    config = load({"controller.proxy": "http://user:secret@proxy:3128"})
    values = config.values()
    assert list(values) == [key.name for key in KEYS]
    assert values["controller.proxy"] == "http://user:***@proxy:3128"
    assert config.controller.proxy == "http://user:secret@proxy:3128"


def test_every_key_has_a_meaning_and_a_variable_of_its_own():
    assert all(key.meaning.endswith(".") for key in KEYS)
    assert len({key.variable for key in KEYS}) == len(KEYS) == len(BY_NAME)


@given(st.sampled_from(sorted(BY_NAME)), st.text(max_size=30))
def test_any_text_for_any_key_is_taken_or_refused_by_name(name, text):
    sentence = name
    try:
        Config.load({name: text}, None, {}, Path("/nowhere"))
    except Fault as fault:
        sentence = fault.sentence
    assert name in sentence
