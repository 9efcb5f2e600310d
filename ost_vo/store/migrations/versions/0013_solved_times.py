"""Dates at the Sun and at the barycentre, computed for the position of a plate solution, are kept with it."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

# Ingest computes them for the header's position, or not at all; those of another exposure do not hold.
KEEP = """
CREATE OR REPLACE FUNCTION archive.keep_solution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.s_ra := old.s_ra;
    new.s_dec := old.s_dec;
    new.s_fov := old.s_fov;
    new.s_region := old.s_region;
    new.region := old.region;
    new.s_orientation := old.s_orientation;
    new.s_parity := old.s_parity;
    new.s_pixel_scale := old.s_pixel_scale;
    new.position_source := old.position_source;
    IF (new.t_min, new.t_max) IS NOT DISTINCT FROM (old.t_min, old.t_max) THEN
        IF new.hjd_source IS DISTINCT FROM 'header' AND old.hjd_source = 'computed' THEN
            new.hjd := old.hjd;
            new.hjd_source := old.hjd_source;
        END IF;
        IF new.bjd_source IS DISTINCT FROM 'header' AND old.bjd_source = 'computed' THEN
            new.bjd := old.bjd;
            new.bjd_source := old.bjd_source;
        END IF;
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.keep_solution() IS
    'Keeps position and light times of a plate solution while the bytes of the file are the same';
"""


def upgrade() -> None:
    """Replace the trigger's function."""
    op.execute(KEEP)
