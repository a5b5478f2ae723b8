# SPDX-License-Identifier: Apache-2.0
"""The controller's own CA and server certificate: TLS from the first start, without anybody else.

Sensors trust this CA alone: they get its certificate with their enrolment token. The server's certificate is
made anew when it nears its end or this host has got other names or addresses; sensors do not notice.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

CA_YEARS: Final = 10
SERVER_DAYS: Final = 397
"""Apple's and others' limit for what a browser accepts."""
RENEW_BEFORE_DAYS: Final = 30
_SKEW: Final = timedelta(hours=1)
"""Certificates begin earlier than now by this: a sensor's clock may be behind."""

_USAGE: Final = {
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


class PkiError(ConfigurationError):
    """A key or certificate is missing or damaged; the message says which, and what to do."""


class Pki:
    """The keys and certificates in one folder, all of mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.ca_file: Final = folder / "ca.pem"
        self.ca_key_file: Final = folder / "ca.key"
        self.server_file: Final = folder / "server.pem"
        self.server_key_file: Final = folder / "server.key"

    def create_ca(self) -> bool:
        """Makes the CA; False if there is one. Without its key, one that exists is of no use: PkiError."""
        if self.ca_file.exists() and self.ca_key_file.exists():
            return False
        if self.ca_file.exists():
            raise PkiError(
                f"{self.ca_key_file} is missing: restore it, or remove {self.ca_file} and enrol anew"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"nsentry CA {os.urandom(4).hex()}")])
        now = datetime.now(UTC)
        certificate = (
            _builder(name, name, key, now, now + timedelta(days=365 * CA_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **_USAGE),
                critical=True,
            )
            .sign(key, hashes.SHA256())
        )
        # The key first: a certificate without its key is what a kill in between must not leave.
        _write(self.ca_key_file, _pem_of(key))
        _write(self.ca_file, certificate.public_bytes(serialization.Encoding.PEM))
        return True

    def renew_server(self, names: Iterable[str], now: datetime | None = None) -> str | None:
        """Makes the server's certificate if there is a reason, and returns the reason; None if it is good."""
        wanted = sorted(set(names))
        moment = now or datetime.now(UTC)
        reason = self._reason_to_renew(wanted, moment)
        if reason is not None:
            self._issue(wanted, moment)
        return reason

    def server_context(self) -> ssl.SSLContext:
        """The TLS that the server speaks: 1.2 or newer, with the certificate as it is on the disk now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Gives a context in use the certificate that is on the disk now, for the connections to come."""
        try:
            context.load_cert_chain(self.server_file, self.server_key_file)
        except (OSError, ssl.SSLError) as error:
            raise PkiError(f"{self.server_file} and its key cannot be used: {error}") from error

    def ca_pem(self) -> str:
        """The CA's certificate, as enrolment tokens carry it."""
        try:
            return self.ca_file.read_text("ascii")
        except FileNotFoundError:
            raise PkiError(f"{self.ca_file} is missing: run 'nsentry-controller init'") from None

    def server_certificate(self) -> x509.Certificate:
        """The server's certificate. PkiError when it is missing or none."""
        return _certificate(self.server_file)

    def _reason_to_renew(self, names: list[str], now: datetime) -> str | None:
        if not (self.server_file.exists() and self.server_key_file.exists()):
            return "there is none"
        certificate = self.server_certificate()
        if certificate.not_valid_after_utc - now < timedelta(days=RENEW_BEFORE_DAYS):
            return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
        if certificate.not_valid_before_utc > now:
            return "it is not valid yet: the clock was set back"
        if certificate.issuer != _certificate(self.ca_file).subject:
            return "it is of another CA"
        if certificate.public_key() != _key(self.server_key_file).public_key():
            return "it is of another key"
        missing = set(names) - names_of(certificate)
        return f"it lacks {', '.join(sorted(missing))}" if missing else None

    def _issue(self, names: list[str], now: datetime) -> None:
        ca_key, ca = _key(self.ca_key_file), _certificate(self.ca_file)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsentry controller")])
        end = min(now + timedelta(days=SERVER_DAYS), ca.not_valid_after_utc)
        certificate = (
            _builder(subject, ca.subject, key, now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **_USAGE),
                critical=True,
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
            )
            .sign(ca_key, hashes.SHA256())
        )
        _write(self.server_key_file, _pem_of(key))
        _write(self.server_file, certificate.public_bytes(serialization.Encoding.PEM))


def own_names(more: Iterable[str] = ()) -> set[str]:
    """Names and addresses of this host and `more`. Asks no name server, which could take long."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), *more}
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in {socket.AF_INET, socket.AF_INET6}:
                names.add(address.address.partition("%")[0])
    return {name for name in names if _is_name(name)}


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names and addresses that a certificate is for."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = extension.get_values_for_type(x509.DNSName)
    return {*dns, *(str(address) for address in extension.get_values_for_type(x509.IPAddress))}


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_name(name: str) -> bool:
    """A certificate can hold it: an address, or a host name in ASCII."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        return all(
            label.isascii() and label.replace("-", "").replace("_", "").isalnum() and len(label) < 64
            for label in labels
        )
    return True


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and never readable by others."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} cannot be read as a certificate: {error}") from error


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"{path} cannot be read as a private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is not an elliptic-curve key, which nsentry makes")
    return key
