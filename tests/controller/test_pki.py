# SPDX-License-Identifier: Apache-2.0
"""The own CA and the server's certificate: for the right names, in time, and readable by nobody else."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from controller.pki import SERVER_DAYS, Pki, PkiError, names_of, own_names

NAMES = {"localhost", "127.0.0.1", "::1", "collector.example"}


@pytest.fixture
def pki(tmp_path):
    made = Pki(tmp_path)
    assert made.create_ca() is True
    assert made.renew_server(NAMES) == "there is none"
    return made


def test_the_ca_signs_for_the_names_asked_for_and_no_longer_than_browsers_accept(pki):
    certificate = pki.server_certificate()
    ca = x509.load_pem_x509_certificate(pki.ca_pem().encode())

    certificate.verify_directly_issued_by(ca)
    assert names_of(certificate) == NAMES
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=398)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_what_is_good_is_kept(pki):
    before = {path: path.read_bytes() for path in pki.ca_file.parent.iterdir()}

    assert pki.create_ca() is False
    assert pki.renew_server(NAMES) is None
    assert pki.renew_server({"localhost"}) is None

    assert {path: path.read_bytes() for path in pki.ca_file.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("days", "renewed"),
    [(0, False), (SERVER_DAYS - 31, False), (SERVER_DAYS - 29, True), (SERVER_DAYS + 1, True)],
)
def test_it_is_renewed_before_its_end(pki, days, renewed):
    reason = pki.renew_server(NAMES, datetime.now(UTC) + timedelta(days=days))

    assert (reason is not None) is renewed


def test_it_is_renewed_for_a_name_that_it_lacks(pki):
    assert pki.renew_server({*NAMES, "192.0.2.7"}) == "it lacks 192.0.2.7"
    assert "192.0.2.7" in names_of(pki.server_certificate())


def test_it_is_renewed_when_a_kill_left_another_key_or_none(pki, tmp_path):
    other = Pki(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.create_ca()
    other.renew_server(NAMES)
    pki.server_key_file.write_bytes(other.server_key_file.read_bytes())
    assert pki.renew_server(NAMES) == "it is of another key"

    pki.server_key_file.unlink()
    assert pki.renew_server(NAMES) == "there is none"
    pki.server_context()


def test_it_is_renewed_when_the_ca_is_another(pki):
    pki.ca_file.unlink()
    pki.ca_key_file.unlink()
    pki.create_ca()

    assert pki.renew_server(NAMES) == "it is of another CA"


def test_a_ca_without_its_key_is_not_replaced_in_silence(pki):
    """A new CA would cut off every sensor."""
    pki.ca_key_file.unlink()

    with pytest.raises(PkiError, match=r"ca\.key is missing"):
        pki.create_ca()


def test_damaged_files_are_named(pki):
    pki.server_file.write_text("no certificate")
    with pytest.raises(PkiError, match=r"server\.pem cannot be read"):
        pki.renew_server(NAMES)
    with pytest.raises(PkiError, match=r"server\.pem and its key"):
        pki.server_context()
    pki.ca_key_file.write_text("no key")
    pki.server_file.unlink()
    with pytest.raises(PkiError, match=r"ca\.key cannot be read as a private key"):
        pki.renew_server(NAMES)


def test_nobody_else_can_read_the_files(pki):
    files = list(pki.ca_file.parent.iterdir())

    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_own_names_hold_loopback_and_nothing_that_a_certificate_cannot():
    names = own_names(("collector.example", "\u00fcber.example", "a b", ""))

    assert {"localhost", "127.0.0.1", "::1", "collector.example"} <= names
    assert not names & {"\u00fcber.example", "a b", ""}
    assert ec.SECP256R1 is not None
