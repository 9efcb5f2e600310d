"""The queries that the TAP service shows how to write.

Source: DALI 1.1 section 2.3 (DALI-examples); TAP 1.1 section 2.4.4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A query to run as it is, or to begin one's own with.

    Attributes:
        id: of its element in the document, a name in XML.
        name: what it finds, as a heading.
        description: a sentence or two on how.
        query: in ADQL.
    """

    id: str
    name: str
    description: str
    query: str


EXAMPLES = (
    Example(
        "cone",
        "Observations around a position",
        "All data sets centred within one degree of a position (ICRS, degrees), nearest first.",
        """SELECT target_name, dataproduct_type, t_exptime, access_url,
  DISTANCE(POINT('ICRS', s_ra, s_dec), POINT('ICRS', 202.47, 47.2)) AS separation
FROM ivoa.obscore
WHERE DISTANCE(POINT('ICRS', s_ra, s_dec), POINT('ICRS', 202.47, 47.2)) < 1
ORDER BY separation""",
    ),
    Example(
        "covering",
        "Images that cover a position",
        "Images whose field of view, not just its centre, holds a position.",
        """SELECT target_name, instrument_name, s_fov, s_pixel_scale, access_url
FROM ivoa.obscore
WHERE dataproduct_type = 'image' AND 1 = CONTAINS(POINT('ICRS', 202.47, 47.2), s_region)""",
    ),
    Example(
        "latest",
        "The latest observations of an object",
        "Objects go by several names; times are Modified Julian Dates.",
        """SELECT TOP 20 obs_id, target_name, instrument_name, t_min, t_exptime, access_url
FROM ivoa.obscore
WHERE target_name IN ('M 51', 'M51', 'NGC 5194')
ORDER BY t_min DESC""",
    ),
    Example(
        "exposure",
        "Time spent on each object",
        "How often each object was observed, for how long in total (hours), and on which dates (MJD).",
        """SELECT target_name, COUNT(*) AS exposures, SUM(t_exptime) / 3600 AS hours,
  MIN(t_min) AS first_date, MAX(t_max) AS last_date
FROM ivoa.obscore
WHERE target_name IS NOT NULL
GROUP BY target_name
ORDER BY hours DESC""",
    ),
    Example(
        "conditions",
        "Exposures taken under good conditions",
        "The table of the observatory's own products knows filter, camera temperature, airmass and weather.",
        """SELECT TOP 100 run_name, target_name, filter_name, t_exptime, airmass, ccd_temperature, access_url
FROM ost.products
WHERE exposure_type = 'light' AND (airmass < 1.5 OR airmass IS NULL)
ORDER BY t_min""",
    ),
    Example(
        "columns",
        "What the columns of a table mean",
        "Unit, UCD and description of every column that a query may name.",
        """SELECT column_name, datatype, unit, ucd, description
FROM tap_schema.columns
WHERE table_name = 'ost.products'
ORDER BY column_index""",
    ),
)
