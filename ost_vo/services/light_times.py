"""Dates at the Sun and at the barycentre of products whose position became known after their ingest."""

from __future__ import annotations

from ost_vo.settings import Settings
from ost_vo.store import light_times as store
from ost_vo.vo.lighttime import Site, arrival

# Products that are looked at in one transaction.
_BATCH = 500


def complete(settings: Settings, connection: store.Connection) -> int:
    """Compute what is missing, a bounded number of products at a time; return how many got dates.

    Args:
        settings: with the site, where a header has none.
        connection: of the role ost_ingest.

    Raises:
        TransientFault: the database does not answer; what was done before stays.
    """
    after, done = 0, 0
    while products := store.undated(connection, after, _BATCH):
        after = products[-1].product_id
        dated = (
            (p, arrival((p.t_min + p.t_max) / 2, p.s_ra, p.s_dec, site(settings, p.site))) for p in products
        )
        done += store.date(connection, [(product, found) for product, found in dated if found])
    return done


def site(settings: Settings, of_header: tuple[float | None, float | None, float | None]) -> Site:
    """Return the site of a telescope: that of its header, else that of the settings.

    Args:
        settings: of the installation.
        of_header: latitude, longitude [deg] and elevation [m]; None where unknown.
    """
    latitude, longitude, elevation = of_header
    if latitude is None or longitude is None:
        return Site(settings.site_latitude, settings.site_longitude, settings.site_elevation)
    return Site(latitude, longitude, settings.site_elevation if elevation is None else elevation)
