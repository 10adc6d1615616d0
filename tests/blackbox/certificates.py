"""Certificates for tests: authorities, what they issue, and TLS connections that use them."""
import datetime
import ipaddress
import os
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness import TIMEOUT, Wire

DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(text):
    kind, _, value = text.partition(":")
    return {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier, "email": x509.RFC822Name,
            "IP": lambda ip: x509.IPAddress(ipaddress.ip_address(ip))}[kind](value)


class Pair:
    """Files with a certificate and its key."""

    def __init__(self, folder, stem, certificate, key):
        self.certificate, self.key = f"{folder}/{stem}.pem", f"{folder}/{stem}.key"
        with open(self.certificate, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))


class Authority:
    """Issues certificates into a folder that goes with the test."""

    def __init__(self, case, name="authority"):
        self.folder = tempfile.TemporaryDirectory()
        case.addCleanup(self.folder.cleanup)
        self.name, self.key, self.issued = _name(name), ec.generate_private_key(ec.SECP256R1()), 0
        self.pair = Pair(self.folder.name, "ca", self._sign(self.name, self.key.public_key(), [], 30 * DAY, True),
                         self.key)
        self.file = self.pair.certificate

    def _sign(self, subject, public_key, alternatives, life, is_ca):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
                   .serial_number(x509.random_serial_number()).not_valid_before(now - 10 * DAY)
                   .not_valid_after(now + life)
                   .add_extension(x509.BasicConstraints(is_ca, None), True))
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(text) for text in alternatives]), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name, *alternatives, life=20 * DAY):
        """alternatives: "DNS:x", "IP:x", "URI:x", "email:x"; a negative `life` is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.issued += 1
        return Pair(self.folder.name, f"{self.issued}", self._sign(_name(name), key.public_key(), alternatives, life, False),
                    key)

    def server(self, **more):
        return self.issue("server", "DNS:localhost", "IP:127.0.0.1", **more)

    def context(self, pair=None, version=None):
        """For clients that trust it, and show `pair`."""
        context = ssl.create_default_context(cafile=self.file)
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        if version:
            context.minimum_version = context.maximum_version = version
        return context


class TlsWire(Wire):
    """A raw client over TLS."""

    def __init__(self, port, context):
        super().__init__(port)
        self.socket.settimeout(TIMEOUT)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
