"""The pages that people read in a browser."""

from __future__ import annotations

from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ost_vo.web.pages import (
    account,
    administration,
    aladin,
    browsing,
    cart,
    entrance,
    jobs,
    notes,
    overview,
    products,
    query,
)
from ost_vo.web.pages.entrance import examples
from ost_vo.web.pages.layout import HERE

__all__ = ["examples", "routes"]

routes = [
    Route("/", entrance.home),
    Route("/search", entrance.search),
    Route("/language", entrance.language, methods=["POST"]),
    Route("/sky/aladin", aladin.frame),
    Route("/sky/aladin.js", aladin.script),
    Route("/overview", overview.overview_page),
    Route("/runs", browsing.runs_page),
    Route("/runs/{name}", browsing.run_page),
    Route("/targets", browsing.targets_page),
    Route("/targets/{name:path}", browsing.target_page),
    Route("/product", products.product_page),
    Route("/product/publish", products.publish, methods=["POST"]),
    Route("/product/validity", products.set_validity, methods=["POST"]),
    Route("/product/delete", products.delete, methods=["POST"]),
    Route("/notes/run", notes.write_of_run, methods=["POST"]),
    Route("/notes/target", notes.write_of_target, methods=["POST"]),
    Route("/tags", notes.tags_page),
    Route("/tags/change", notes.change_tag, methods=["POST"]),
    Route("/administration", administration.overview),
    Route("/administration/{section}", administration.show),
    Route("/administration/{section}/{action}", administration.act, methods=["POST"]),
    Route("/darks", browsing.darks_page),
    Route("/cart", cart.cart_page),
    Route("/cart", cart.create, methods=["POST"]),
    Route("/cart/{job_id}", cart.job_page),
    Route("/cart/{job_id}", cart.abort, methods=["POST"]),
    Route("/jobs", jobs.jobs_page),
    Route("/jobs/{job_id}", jobs.job_page),
    Route("/jobs/{job_id}", jobs.act, methods=["POST"]),
    Route("/query", query.query_page),
    Route("/account", account.account_page),
    Route("/account/context", account.set_context, methods=["POST"]),
    Route("/account/tokens", account.add_token, methods=["POST"]),
    Route("/account/tokens/revoke", account.revoke_token, methods=["POST"]),
    Mount("/static", StaticFiles(directory=HERE / "static")),
]
