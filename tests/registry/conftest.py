"""The registry of the running archive, as if it were behind a URL prefix and https."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import uvicorn
from lxml import etree
from starlette.applications import Starlette

from ost_vo.deployment import publisher
from ost_vo.services import description, registry
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.web import registry as web_registry
from ost_vo.web import vosi
from tests.authentication.asgi import changed
from tests.conftest import Service

PUBLIC = "https://vo.example.org/data_archive"
OAI = "{http://www.openarchives.org/OAI/2.0/}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

# Debian's python3-gavo, which the archive needs anyway, carries the schemas of the IVOA.
SCHEMATA = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata")
_PARTS = {
    "http://www.openarchives.org/OAI/2.0/": "OAI-PMH.xsd",
    "http://www.openarchives.org/OAI/2.0/oai_dc/": "oai_dc.xsd",
    "http://www.ivoa.net/xml/RegistryInterface/v1.0": "RegistryInterface.xsd",
    "http://www.ivoa.net/xml/VODataService/v1.1": "VODataService.xsd",
    "http://www.ivoa.net/xml/VORegistry/v1.0": "VORegistry.xsd",
    "http://www.ivoa.net/xml/TAPRegExt/v1.0": "TAPRegExt.xsd",
}


@dataclass(frozen=True)
class Registry:
    """A web process with the registry's settings of these tests.

    Attributes:
        url: of the process, on the loopback.
        archive: the same, for what people do by commands.
    """

    url: str
    archive: Archive

    @property
    def settings(self) -> Settings:
        return self.archive.settings

    def refresh(self) -> list[str]:
        """Do what `ost-vo registry refresh` does; return the names of the records that changed."""
        authority = f"ivo://{self.settings.authority}"
        return sorted(identifier[len(authority) + 1 :] for identifier in registry.refresh(self.archive))

    def ask(self, verb: str, **arguments: str) -> etree._Element:
        """Return the answer to a request of OAI-PMH."""
        answer = requests.get(f"{self.url}/oai.xml", params={"verb": verb, **arguments}, timeout=60)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/xml")
        return etree.fromstring(answer.content)

    def identifier(self, name: str) -> str:
        """Return the IVOID of one of the archive's records."""
        return f"ivo://{self.settings.authority}/{name}".rstrip("/")

    def record(self, name: str, prefix: str = "ivo_vor") -> etree._Element:
        """Return a record, with its head."""
        answer = self.ask("GetRecord", metadataPrefix=prefix, identifier=self.identifier(name))
        found = answer.find(f"{OAI}GetRecord/{OAI}record")
        assert found is not None, etree.tostring(answer)
        return found

    def resource(self, name: str) -> etree._Element:
        """Return the VOResource element of a record."""
        metadata = self.record(name).find(f"{OAI}metadata")
        assert metadata is not None
        return metadata[0]


def _application(archive: Archive) -> Starlette:
    """Return what answers of the whole web service here: its start would take long."""
    described = {
        "/tap": description.tap_capabilities,
        "/sia": description.sia_capabilities,
        "/datalink": description.datalink_capabilities,
        "/soda": description.soda_capabilities,
    }
    routes = [route for path, tell in described.items() for route in vosi.routes(path, tell)]
    application = Starlette(routes=[*web_registry.routes, *routes])
    application.state.archive = archive
    return application


class _Server(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@pytest.fixture(scope="package")
def registry_here(service: Service) -> Iterator[Registry]:
    """The registry, with its records made; three come at a time."""
    port = publisher.free_port()
    settings = changed(
        service.settings,
        port=port,
        public_url=PUBLIC,
        publisher_url=service.publisher_url,
        contact_email="archive@vo.example.org",
        rights="Free to use; please say where the data are from.",
        rights_url="https://spdx.org/licenses/CC-BY-4.0.html",
        registry_page=3,
    )
    archive = Archive.open(settings)
    server = _Server(uvicorn.Config(_application(archive), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.ready.wait(300)
    here = Registry(f"http://127.0.0.1:{port}", archive)
    here.refresh()
    yield here
    archive.close()
    server.should_exit = True
    thread.join(30)


class _Local(etree.Resolver):
    """Finds imported schemas on disk, so that no test reaches the network."""

    def resolve(self, url: str, public_id: str, context: object) -> object:
        del public_id
        path = SCHEMATA / url.rsplit("/", 1)[-1]
        return self.resolve_filename(str(path), context) if path.exists() else None


@pytest.fixture(scope="package")
def schema() -> etree.XMLSchema:
    """One schema made of all that answers of a registry use."""
    lines = [
        f'<xs:import namespace="{space}" schemaLocation="{SCHEMATA / name}"/>'
        for space, name in _PARTS.items()
    ]
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Local())
    document = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{"".join(lines)}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(document, parser))
