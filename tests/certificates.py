"""An authority that nobody knows but who is given its certificate, and a server's certificate that it has signed."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROXIED_HOST = "ocr.example.com"
"""A host that is reached through a proxy only."""


@dataclass(frozen=True, slots=True)
class Authority:
    """
    Paths of PEM files.

    :param authority: the authority's own certificate: what a client has to trust.
    :param certificate: of a server at 127.0.0.1, and of :data:`PROXIED_HOST`.
    :param key: the private key of that.
    """

    authority: str
    certificate: str
    key: str

    @classmethod
    def found(cls, folder: Path) -> Authority:
        """
        Found one.

        :param folder: where its files go.
        """
        root_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _unsigned("Tests' own authority", "Tests' own authority", root_key)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        server = _unsigned("127.0.0.1", "Tests' own authority", server_key)
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(PROXIED_HOST)]
        server = server.add_extension(x509.SubjectAlternativeName(names), critical=False)
        paths = cls(*(str(folder / f"{name}.pem") for name in ("authority", "certificate", "key")))
        for path, certificate in ((paths.authority, root), (paths.certificate, server)):
            signed = certificate.sign(root_key, hashes.SHA256())
            Path(path).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        Path(paths.key).write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def server(self) -> ssl.SSLContext:
        """Return the context of a server that has the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def _unsigned(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer)
    )
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(subject_name=subject_name, issuer_name=issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=6))
    )
