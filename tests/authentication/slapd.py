"""A directory of the tests: Debian's slapd on loopback ports of its own, in a temporary directory."""

from __future__ import annotations

import contextlib
import datetime
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ost_vo.deployment.publisher import free_port

READER, READER_PASSWORD = "cn=reader,dc=example", "the reader's own"
PEOPLE = "ou=people,dc=example"
# Where only the reader looks.
STAFF = "ou=staff,dc=example"

# As servers of old were set up: binds without a password, or without a name, succeed.
_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred bind_anon_dn
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
database mdb
suffix dc=example
directory {directory}/data
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{staff}" by dn.exact="{reader}" read by anonymous auth by * none
access to * by * read
"""

_TREE = f"""
dn: dc=example
objectClass: domain
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {STAFF}
objectClass: organizationalUnit
ou: staff

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}

dn: ou=elsewhere,{PEOPLE}
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://127.0.0.1:1/ou=elsewhere,dc=other
"""


class Slapd:
    """A directory.

    Args:
        directory: for all that it writes.
        people: pairs of the entry's parent and uid; the password of each is its uid and " knows".
    """

    def __init__(self, directory: Path, people: Iterator[tuple[str, str]]) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port, self._tls_port = free_port(), free_port()
        _write_certificates(directory)
        (directory / "data").mkdir()
        configuration = _CONFIGURATION.format(directory=directory, staff=STAFF, reader=READER)
        (directory / "slapd.conf").write_text(configuration)
        entries = [_entry(parent, uid) for parent, uid in people]
        subprocess.run(
            ["/usr/sbin/slapadd", "-f", directory / "slapd.conf"],
            input="\n".join([_TREE, *entries]).encode(),
            check=True,
            capture_output=True,
        )

    @property
    def ca(self) -> Path:
        """The certificate that the server's was signed with, which is for localhost."""
        return self._directory / "ca.pem"

    @property
    def url(self) -> str:
        """Where it listens without TLS, and for StartTLS."""
        return f"ldap://localhost:{self._port}"

    @property
    def tls_url(self) -> str:
        """Where it listens with TLS."""
        return f"ldaps://localhost:{self._tls_port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        urls = f"ldap://127.0.0.1:{self._port} ldaps://127.0.0.1:{self._tls_port}"
        command = ["/usr/sbin/slapd", "-f", self._directory / "slapd.conf", "-h", urls, "-d", "0"]
        self._process = subprocess.Popen(command)
        while not _listens(self._port):
            assert self._process.poll() is None, "slapd has ended"
            threading.Event().wait(0.02)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None


@contextlib.contextmanager
def running(directory: Path, people: Iterator[tuple[str, str]]) -> Iterator[Slapd]:
    """Yield a directory that answers, and stop it."""
    slapd = Slapd(directory, people)
    try:
        slapd.start()
        yield slapd
    finally:
        slapd.stop()


def password_of(uid: str) -> str:
    """Return the password of somebody in the directory."""
    return f"{uid} knows"


def _entry(parent: str, uid: str) -> str:
    return (
        f"dn: uid={uid},{parent}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
        f"userPassword: {password_of(uid)}\n"
    )


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _write_certificates(directory: Path) -> None:
    issuer = _name("tests of ost_vo")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(issuer, ca_key, issuer, ca_key, x509.BasicConstraints(True, None))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = _certificate(_name("localhost"), key, issuer, ca_key, names)
    (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(issuer_key, hashes.SHA256())
    )
