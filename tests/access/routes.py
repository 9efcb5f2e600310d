"""Every endpoint of the archive, and how `test_everywhere.py` looks through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# Endpoint to the doors of `test_everywhere.DOORS` that it is behind.
LOOKED_THROUGH = {
    "/tap/sync": ("ivoa.obscore", "ost.products", "counts", "upload", "prefix"),
    "/tap/async": ("asynchronous",),
    "/tap/async/{job_id}": ("asynchronous",),
    "/tap/async/{job_id}/phase": ("asynchronous",),
    "/tap/async/{job_id}/owner": ("asynchronous",),
    "/tap/async/{job_id}/parameters": ("asynchronous",),
    "/tap/async/{job_id}/error": ("asynchronous",),
    "/tap/async/{job_id}/results/{result_id}": ("asynchronous",),
    "/sia/query": ("SIA",),
    "/datalink/links": ("DataLink",),
    "/datalink/file": ("file by identifier",),
    "/datalink/header": ("header",),
    "/files/{path:path}": ("file by path",),
    "/soda/sync": ("cutout",),
    "/api/v1/products": ("API",),
    "/api/v1/runs": ("API, run",),
    "/api/v1/runs/{name}": ("API, run",),
    "/api/v1/runs/{name}/files": ("API, run",),
    "/search": ("search", "page of a target"),
    "/runs/{name}": ("page of a run",),
    "/targets": ("page of a target",),
    "/targets/{name:path}": ("page of a target",),
    "/product": ("page of a product",),
}

# Endpoint to why it shows nothing of any product, or where else that is tested.
SHOWS_NO_PRODUCT = {
    "/": "the latest runs, by what /api/v1/runs asks",
    "/runs": "the same; tests/pages",
    "/language": "nothing",
    "/query": "a form",
    "/product/publish": "what /product shows; tests/pages",
    "/product/validity": "the same",
    "/product/delete": "the same",
    "/account": "the caller's own account; tests/pages",
    "/account/context": "the same",
    "/account/tokens": "the same",
    "/account/tokens/revoke": "the same",
    "/availability": "whether the archive is up",
    "/tap/availability": "the same",
    "/sia/availability": "the same",
    "/datalink/availability": "the same",
    "/soda/availability": "the same",
    "/tap/capabilities": "what the service can do",
    "/sia/capabilities": "the same",
    "/datalink/capabilities": "the same",
    "/soda/capabilities": "the same",
    "/tap/examples": "a page of text",
    "/tap/tables": "the columns, which are the same for everybody",
    "/tap/tables/{name:path}": "the same",
    "/tap/async/{job_id}/destruction": "a time; of the owner's jobs alone, by the same function as phase",
    "/tap/async/{job_id}/executionduration": "a number, by the same function",
    "/tap/async/{job_id}/quote": "always empty, by the same function",
    "/tap/async/{job_id}/results": "addresses of results, by the same function",
    "/login": "a form; tests/authentication",
    "/login/openid": "a redirection; tests/authentication",
    "/login/openid/callback": "the same",
    "/logout": "nothing; tests/authentication",
    "/api/v1/openapi.json": "the description of the API",
    "/api/v1/me": "the caller's own account; tests/api",
    "/api/v1/me/context": "the caller's own context; tests/api",
    "/api/v1/me/password": "nothing; tests/api",
    "/api/v1/me/tokens": "names of the caller's own tokens; tests/api",
    "/api/v1/me/tokens/{name}": "nothing; tests/api",
    "/api/v1/projects": "projects; test_projects.py",
    "/api/v1/projects/{name}": "the same",
    "/api/v1/projects/{name}/members": "the same",
    "/api/v1/projects/{name}/members/{user}": "the same",
    "/api/v1/creation-scopes": "directories, for those with a permission; tests/api",
    "/api/v1/users": "accounts, for those with a permission; tests/api",
    "/api/v1/users/{name}": "the same",
    "/api/v1/permissions": "what roles may do, for those with a permission; tests/api",
    "/api/v1/permissions/{role}/{permission}": "the same",
    "/api/v1/audit": "the log, for those with a permission and managers; test_projects.py",
    "/api/v1/products/publish": "what the caller changed; the histories of test_everywhere.py call it",
    "/api/v1/products/unpublish": "the same",
    "/api/v1/products/validity": "the same",
    "/api/v1/products/release": "the same",
    "/api/v1/products/delete": "the same, by test_publishing.py",
    "/api/v1/products/lineage": "identifiers, from ost.lineage; test_projects.py",
}


def paths(doors: Iterable[str]) -> Iterator[str]:
    """Yield the endpoints that are accounted for; a door that there is not accounts for nothing."""
    known = set(doors)
    yield from SHOWS_NO_PRODUCT
    yield from (path for path, behind in LOOKED_THROUGH.items() if set(behind) <= known)
