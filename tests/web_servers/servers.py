"""The three web servers with the sites of `etc/`: configured for a test, started, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ETC = Path(__file__).resolve().parents[2] / "etc"
WAIT_SECONDS = 120
APACHE_MODULES = Path("/usr/lib/apache2/modules")
_APACHE = (
    "mpm_event",
    "authz_core",
    "alias",
    "headers",
    "proxy",
    "proxy_http",
    "socache_shmcb",
    "ssl",
    "xsendfile",
)


@dataclass(frozen=True)
class Place:
    """Where a site is put up.

    Attributes:
        directory: for configuration, logs, certificate.
        backend: port of the archive's service.
        https, http: ports of the site, on the loopback.
        data: root of the data files.
        path: of the archive at the site, with slashes around it.
    """

    directory: Path
    backend: int
    https: int
    http: int
    data: Path
    path: str = "/data_archive/"

    @property
    def certificate(self) -> Path:
        return self.directory / "localhost.pem"

    @property
    def key(self) -> Path:
        return self.directory / "localhost.key"

    def edited(self, text: str) -> str:
        """Return a site with the edits that its head asks for."""
        for old, new in (
            ("/data_archive/", self.path),
            ("/etc/ssl/certs/archive.pem", str(self.certificate)),
            ("/etc/ssl/private/archive.key", str(self.key)),
            ("/srv/ost/data", str(self.data)),
            ("127.0.0.1:8000", f"127.0.0.1:{self.backend}"),
        ):
            assert old in text
            text = text.replace(old, new)
        return text


def write_certificate(place: Place) -> None:
    """Write a certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    place.key.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def nginx(place: Place, *extra: str) -> list[str]:
    """Write the configuration of nginx and return its command."""
    site = place.edited((ETC / "nginx" / "ost_vo.conf").read_text())
    site = site.replace("listen 80;", f"listen 127.0.0.1:{place.http};")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{place.https} ssl;")
    site = site.replace("archive.example.org", "localhost")
    site = site.replace("https://$host$request_uri", f"https://$host:{place.https}$request_uri")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place.directory}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.getuid() == 0 else ""
    path = place.directory / "nginx.conf"
    path.write_text(
        f"{user}daemon off;\npid {place.directory}/nginx.pid;\nerror_log {place.directory}/nginx.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    )
    return [
        "/usr/sbin/nginx",
        "-p",
        str(place.directory),
        "-e",
        f"{place.directory}/nginx.log",
        "-c",
        str(path),
        *extra,
    ]


def apache(place: Place, *extra: str) -> list[str]:
    """Write the configuration of Apache and return its command."""
    site = place.edited((ETC / "apache2" / "ost_vo.conf").read_text())
    site = site.replace("*:80>", f"127.0.0.1:{place.http}>").replace("*:443>", f"127.0.0.1:{place.https}>")
    site = site.replace("https://archive.example.org/", f"https://localhost:{place.https}/")
    site = site.replace("archive.example.org", "localhost")
    modules = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in _APACHE)
    path = place.directory / "apache.conf"
    path.write_text(
        f"ServerRoot {place.directory}\nDefaultRuntimeDir {place.directory}\nDocumentRoot {place.directory}\n"
        f"Listen 127.0.0.1:{place.http}\nListen 127.0.0.1:{place.https}\n{modules}{site}"
        "PidFile apache.pid\nErrorLog apache.log\nServerName localhost\nUser daemon\nGroup daemon\n"
    )
    return ["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(path), *extra]


def caddy(place: Place, *command: str) -> list[str]:
    """Write the configuration of Caddy and return its command."""
    site = place.edited((ETC / "caddy" / "Caddyfile").read_text())
    site = site.replace("archive.example.org {", f"https://localhost:{place.https} {{")
    path = place.directory / "Caddyfile"
    path.write_text(
        f"{{\nadmin off\nhttp_port {place.http}\nhttps_port {place.https}\n"
        f"default_bind 127.0.0.1\nstorage file_system {place.directory}/caddy\n}}\n{site}"
    )
    path.chmod(0o644)
    return ["/usr/bin/caddy", *(command or ("run",)), "--adapter", "caddyfile", "--config", str(path)]


class Running:
    """A web server for the time of a block."""

    def __init__(self, command: list[str], place: Place) -> None:
        self._command = command
        self._place = place
        self._log = place.directory / "output.log"

    def __enter__(self) -> Running:
        environment = {**os.environ, "HOME": str(self._place.directory)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        for _ in range(WAIT_SECONDS * 20):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._place.https)) == 0:
                    return self
            assert self._process.poll() is None, self._log.read_text()
            signal.sigtimedwait([], 0.05)
        raise AssertionError(self._log.read_text())

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(WAIT_SECONDS)
