"""The context of a request: by parameters, by the URL, or as it is kept for the user."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from lxml import etree

from tests.authentication.asgi import answers, changed
from tests.authentication.conftest import Caller, Office, Person
from tests.conftest import Service

FIRST = "SELECT TOP 1 obs_publisher_did, access_url FROM ost.products"


@dataclass(frozen=True)
class World:
    """A member of two projects, with a product of level 2 in each and one of level 1, and a stranger."""

    member: Person
    stranger: Person
    red: str
    blue: str
    in_red: str
    in_blue: str
    own: str


@pytest.fixture(scope="module")
def world(office: Office) -> World:
    member, stranger = office.person(), office.person()
    red, blue = office.project(member), office.project(member)
    return World(
        member,
        stranger,
        red,
        blue,
        office.product(member, red, 2),
        office.product(member, blue, 2),
        office.product(member, red, 1),
    )


def seen(world: World, caller: Caller, **parameters: str) -> set[str]:
    return caller.seen(world.in_red, world.in_blue, world.own, **parameters)


def test_parameters_choose(service: Service, world: World) -> None:
    member = Caller(service.url, auth=world.member.basic)
    both = {world.in_red, world.in_blue}
    assert seen(world, member) == both | {world.own}
    assert seen(world, member, OST_PROJECT=world.red) == {world.in_red, world.own}
    assert seen(world, member, ost_project=world.blue, Ost_Privileges="2") == {world.in_blue}
    assert seen(world, member, OST_PRIVILEGES="2") == both
    assert seen(world, member, OST_PRIVILEGES="3") == set()
    assert seen(world, member, OST_PROJECT="-", OST_PRIVILEGES="2") == both


def test_the_url_chooses_and_parameters_beat_it(service: Service, world: World) -> None:
    url = f"{service.url}/context/{world.red}"
    plain, red = Caller(url, auth=world.member.basic), Caller(f"{url}/2", auth=world.member.basic)
    none = Caller(f"{service.url}/context/-/2", auth=world.member.basic)
    assert seen(world, plain) == {world.in_red, world.own}
    assert seen(world, red) == {world.in_red}
    assert seen(world, none) == {world.in_red, world.in_blue}
    assert seen(world, red, OST_PRIVILEGES="1") == {world.in_red, world.own}
    assert seen(world, red, OST_PROJECT=world.blue, OST_PRIVILEGES="2") == {world.in_blue}
    # A project begins with level 1, as everywhere.
    assert seen(world, red, OST_PROJECT=world.blue) == {world.in_blue, world.own}


def test_the_url_beats_what_is_kept(service: Service, office: Office, world: World) -> None:
    kept = office.person()
    office.execute(
        "INSERT INTO archive.project_members (project_id, user_id) SELECT project_id, user_id "
        "FROM archive.projects j, archive.users u WHERE j.name = ANY (%s) AND u.name = %s",
        [world.red, world.blue],
        kept.name,
    )
    office.execute(
        "UPDATE archive.users SET context_privileges = 2, context_project_id = "
        "(SELECT project_id FROM archive.projects WHERE name = %s) WHERE name = %s",
        world.red,
        kept.name,
    )
    assert seen(world, Caller(service.url, auth=kept.basic)) == {world.in_red}
    blue = Caller(f"{service.url}/context/{world.blue}", auth=kept.basic)
    assert seen(world, blue) == {world.in_blue}


@pytest.mark.parametrize(
    "path",
    [
        f"/tap/sync?LANG=ADQL&QUERY={FIRST}",
        "/sia/query?MAXREC=0",
        "/datalink/links?ID=ivo://people/x",
        "/datalink/file?ID=ivo://people/x",
        "/files/people/x",
        "/tap/async",
        f"/tap/async/{'0' * 32}",
        f"/tap/async/{'0' * 32}/results/result",
    ],
)
def test_a_project_is_for_its_members(service: Service, world: World, path: str) -> None:
    by_url = f"{service.url}/context/{world.red}/2{path}"
    by_parameter = f"{service.url}{path}{'&' if '?' in path else '?'}OST_PROJECT={world.red}"
    has_parameters = "/async/" not in path
    for url in (by_url, by_parameter) if has_parameters else (by_url,):
        refused = Caller(service.url).get(url)
        assert (refused.status_code, "ivoa_cookie" in refused.headers["WWW-Authenticate"]) == (401, True)
        forbidden = Caller(service.url, auth=world.stranger.basic).get(url)
        assert (forbidden.status_code, "WWW-Authenticate" in forbidden.headers) == (403, False)
        assert world.red in forbidden.text
        assert Caller(service.url, auth=world.member.basic).get(url).status_code in (200, 404)
    unknown = Caller(service.url, auth=world.stranger.basic).get(by_url.replace(world.red, "NOSUCH"))
    assert (unknown.status_code, unknown.text.replace("NOSUCH", world.red)) == (403, forbidden.text)


@pytest.mark.parametrize("level", ["0", "6", "-1", "99999999999999999999"])
def test_a_level_that_there_is_not(service: Service, level: str) -> None:
    caller = Caller(service.url)
    assert caller.get(f"/context/-/{level}/tap/capabilities").status_code == 400
    assert caller.query(FIRST, OST_PRIVILEGES=level).status_code == 400
    assert "1 (creator)" in caller.query(FIRST, OST_PRIVILEGES="high").text
    for name in ("a\0b", "a b", "x" * 65, "'"):
        assert caller.query(FIRST, OST_PROJECT=name).status_code == 400
    twice = f"/tap/sync?LANG=ADQL&QUERY={FIRST}&OST_PROJECT=A&ost_project=B"
    assert caller.get(twice).status_code == 400


def test_services_describe_themselves_to_everybody(service: Service, world: World) -> None:
    prefix = f"{service.url}/context/{world.red}/2"
    for path in ("tap", "sia", "datalink"):
        document = etree.fromstring(Caller(prefix).get(f"/{path}/capabilities").content)
        urls = [url.text for url in document.iterfind(".//accessURL")]
        login = f"{service.url}/login"
        assert login in urls
        assert all(url.startswith(f"{prefix}/{path}") for url in urls if url != login)
        interfaces = document.findall("capability[1]/interface")
        methods = [interface.find("securityMethod") for interface in interfaces]
        assert methods[0] is None
        assert [method.get("standardID") for method in methods[1:]] == [
            "ivo://ivoa.net/sso#BasicAA",
            "ivo://ivoa.net/sso#cookie",
        ]
        assert len({interface.findtext("accessURL") for interface in interfaces}) == 1
    for path in ("/tap/availability", "/tap/tables", "/tap/tables/ost.products", "/tap/examples"):
        assert Caller(prefix).get(path).status_code == 200
    assert f"{prefix}/tap" in Caller(prefix).get("/tap/examples").text


def test_every_url_keeps_the_prefix(service: Service, world: World) -> None:
    prefix = f"{service.url}/context/{world.red}/2"
    member = Caller(prefix, auth=world.member.basic)
    row = member.query(FIRST).text.splitlines()[1]
    identifier, access_url = row.split(",")
    assert access_url.startswith(f"{prefix}/datalink/file?ID=")
    links = member.get(f"/datalink/links?ID={identifier}").text
    assert f"{prefix}/files/" in links
    assert f"{prefix}/datalink/links" in links
    found = member.get("/sia/query?POS=CIRCLE 56.75 24.12 10&RESPONSEFORMAT=votable/td").text
    assert f"{prefix}/datalink/links?ID=" in found
    assert f'value="{prefix}/sia/query"' in found
    bare = service.url + "/"
    for text in (links, found):
        assert bare not in text.replace(prefix, "")


def test_a_path_that_is_no_context(service: Service) -> None:
    caller = Caller(service.url)
    for path in (
        "/context/",
        "/context/A",
        "/context/A/2",
        "/context/A%20B/2/tap/capabilities",
        "/context//tap",
    ):
        assert caller.get(path).status_code == 404
    twice = "/context/-/2/context/-/2/tap/capabilities"
    assert caller.get(twice).status_code == 404


def test_a_slash_at_the_end_leads_out_of_no_context(service: Service, world: World) -> None:
    prefix = f"{service.url}/context/{world.red}/5"
    assert f"{prefix}/tap<" in Caller(prefix).get("/tap/capabilities/").text
    settings = changed(service.settings, public_url="https://archive.example")
    ((status, headers),) = answers(settings, {"path": "/tap/capabilities/"})
    assert status == 200
    assert "location" not in headers
