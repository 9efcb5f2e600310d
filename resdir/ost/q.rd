<resource schema="ost" resdir="ost">
  <meta name="title">Archive of the OST observatory</meta>
  <meta name="creationDate">2026-11-21T00:00:00Z</meta>
  <meta name="description">What an observer asks of the OST archive beyond ObsCore: filter, camera, gain,
    temperature, airmass, binning, runs and targets.</meta>
  <meta name="subject">observational-astronomy</meta>
  <meta name="creator.name">OST observatory</meta>
  <meta name="contentLevel">Research</meta>
  <meta name="type">Archive</meta>

  <!-- Who may see a row is decided by context.in_scope; runs and targets show where a product of theirs does.
       The hidden columns pos and footprint are there for the ADQL translator: TAP_SCHEMA does not list them. -->
  <table id="products" adql="True" onDisk="True">
    <meta name="description">One row for each data product (file), with what its header says.</meta>
    <index columns="obs_publisher_did" metaOnly="True"/>
    <index columns="path" metaOnly="True"/>
    <index columns="obs_id" metaOnly="True"/>
    <index columns="target_name" metaOnly="True"/>
    <index columns="t_min" metaOnly="True"/>
    <index columns="s_ra, s_dec" metaOnly="True"/>
    <index columns="s_region" metaOnly="True"/>

    <column name="obs_publisher_did" type="text" required="True" ucd="meta.ref.ivoid;meta.main"
      description="IVOA identifier of the data product"/>
    <column name="obs_id" type="unicode" required="True" ucd="meta.id"
      description="Identifier of the observation"/>
    <column name="run_name" type="unicode" required="True" ucd="meta.id"
      description="Run (directory) that the file belongs to"/>
    <column name="path" type="unicode" required="True" ucd="meta.id;meta.file"
      description="Path of the file below the data root"/>
    <column name="access_url" type="unicode" ucd="meta.ref.url" description="The file itself"/>
    <column name="access_format" type="text" ucd="meta.code.mime" description="Media type of the file"/>
    <column name="file_size" type="bigint" required="True" unit="byte" ucd="phys.size;meta.file"
      description="Size of the file"/>
    <column name="sha256" type="text" required="True" ucd="meta.checksum"
      description="SHA-256 of the file, hexadecimal"/>
    <column name="file_modified" type="timestamp" ucd="time.processing"
      description="When the file was last changed on disk (UTC)"/>
    <column name="ingested" type="timestamp" ucd="time.processing"
      description="When the file came into the archive (UTC)"/>
    <column name="missing_since" type="timestamp" ucd="time"
      description="Since when the file has not been found on disk (UTC)"/>
    <column name="project" type="text" required="True" ucd="meta.id"
      description="Project that the data product belongs to"/>
    <column name="creator" type="text" required="True" ucd="meta.id"
      description="User who ingested or made the data product"/>
    <column name="quoted/privileges" type="integer" required="True" ucd="meta.code"
      description="Who may see it: 1 creator, 2 project, 3 users of the archive, 4 everybody, 5 the VO"/>
    <column name="is_valid" type="integer" required="True" ucd="meta.code"
      description="1 valid, 0 invalidated"/>
    <column name="obs_release_date" type="timestamp" ucd="time.release"
      description="When the data product becomes or became public (UTC)"/>
    <column name="data_rights" type="text" required="True" ucd="meta.code"
      description="public, secure or proprietary"/>
    <column name="dataproduct_type" type="text" ucd="meta.code.class"
      description="Kind of data: image, cube, spectrum, timeseries, measurements"/>
    <column name="exposure_type" type="text" ucd="meta.code.class"
      description="bias, dark, flat, light or wave (lamp)"/>
    <column name="calib_level" type="integer" required="True" ucd="meta.code;obs.calib"
      description="Calibration: 0 raw in its own format, 1 raw in a standard format, 2 calibrated, 3 derived"/>
    <column name="target_id" type="integer" ucd="meta.id;src"
      description="Number of the object in ost.targets"><values nullLiteral="0"/></column>
    <column name="target_name" type="unicode" ucd="meta.id;src" description="Name of the object observed"/>
    <column name="header_target" type="unicode" ucd="meta.id;src"
      description="Name of the object as the header has it"/>
    <column name="header_instrument" type="unicode" ucd="meta.id;instr"
      description="Name of the instrument as the header has it"/>
    <column name="header_telescope" type="unicode" ucd="meta.id;instr.tel"
      description="Name of the telescope as the header has it"/>
    <column name="header_filter" type="unicode" ucd="meta.id;instr.filter"
      description="Name of the filter as the header has it"/>
    <column name="header_observer" type="unicode" ucd="meta.id;obs.observer"
      description="Name of the observer as the header has it"/>
    <column name="s_ra" type="double precision" unit="deg" ucd="pos.eq.ra;meta.main"
      description="Right ascension of the centre, ICRS"/>
    <column name="s_dec" type="double precision" unit="deg" ucd="pos.eq.dec;meta.main"
      description="Declination of the centre, ICRS"/>
    <column name="position_source" type="text" ucd="meta.code"
      description="Where the position comes from: wcs (solved image) or header"/>
    <column name="s_fov" type="double precision" unit="deg" ucd="phys.angSize;instr.fov"
      description="Diameter of a circle that covers the field"/>
    <column name="s_region" type="text" xtype="adql:REGION" ucd="pos.outline;obs.field"
      description="Outline of the field, STC-S in ICRS"/>
    <column name="s_pixel_scale" type="double precision" unit="arcsec" ucd="phys.angSize;instr.pixel"
      description="Angle that one pixel covers"/>
    <column name="s_orientation" type="double precision" unit="deg" ucd="pos.posAng"
      description="Position angle of the second image axis, from north through east"/>
    <column name="s_parity" type="integer" ucd="meta.code"
      description="1 as seen on the sky, -1 mirrored"><values nullLiteral="0"/></column>
    <column name="s_xel1" type="bigint" ucd="meta.number"
      description="Pixels along the first axis"><values nullLiteral="-1"/></column>
    <column name="s_xel2" type="bigint" ucd="meta.number"
      description="Pixels along the second axis"><values nullLiteral="-1"/></column>
    <column name="t_min" type="double precision" unit="d" ucd="time.start;obs.exposure"
      description="Start of the exposure, MJD in UTC"/>
    <column name="t_max" type="double precision" unit="d" ucd="time.end;obs.exposure"
      description="End of the exposure, MJD in UTC"/>
    <column name="t_exptime" type="double precision" unit="s" ucd="time.duration;obs.exposure"
      description="Exposure time; 0 for bias frames"/>
    <column name="t_xel" type="bigint" ucd="meta.number"
      description="Frames of a video, or planes of a cube of times"><values nullLiteral="-1"/></column>
    <column name="hjd" type="double precision" unit="d" ucd="time.epoch"
      description="Heliocentric Julian date: of the header, or of mid-exposure in UTC"/>
    <column name="hjd_source" type="text" ucd="meta.code"
      description="Where hjd comes from: header or computed"/>
    <column name="bjd" type="double precision" unit="d" ucd="time.epoch"
      description="Barycentric Julian date: of the header, or of mid-exposure in TDB"/>
    <column name="bjd_source" type="text" ucd="meta.code"
      description="Where bjd comes from: header or computed"/>
    <column name="filter_name" type="unicode" ucd="meta.id;instr.filter" description="Filter"/>
    <column name="em_min" type="double precision" unit="m" ucd="em.wl;stat.min"
      description="Shortest wavelength, in vacuum"/>
    <column name="em_max" type="double precision" unit="m" ucd="em.wl;stat.max"
      description="Longest wavelength, in vacuum"/>
    <column name="facility_name" type="text" ucd="meta.id;instr.tel" description="Observatory"/>
    <column name="telescope_name" type="unicode" ucd="meta.id;instr.tel" description="Telescope"/>
    <column name="instrument_name" type="unicode" ucd="meta.id;instr" description="Camera or spectrograph"/>
    <column name="focal_length" type="double precision" unit="mm" ucd="instr.param"
      description="Focal length of the telescope"/>
    <column name="pixel_size" type="double precision" unit="um" ucd="phys.size;instr.pixel"
      description="Width of a pixel, as binned"/>
    <column name="binning_x" type="integer" ucd="instr.param"
      description="Camera pixels in one pixel of the image, first axis"><values nullLiteral="-1"/></column>
    <column name="binning_y" type="integer" ucd="instr.param"
      description="Camera pixels in one pixel of the image, second axis"><values nullLiteral="-1"/></column>
    <column name="gain" type="double precision" ucd="instr.param" description="Gain setting, or ISO speed"/>
    <column name="egain" type="double precision" unit="adu**-1" ucd="instr.param"
      description="Electrons for each count"/>
    <column name="pedestal" type="double precision" unit="adu" ucd="instr.param"
      description="Pedestal added to the counts"/>
    <column name="black_level" type="double precision" unit="adu" ucd="instr.param"
      description="Offset setting of the camera"/>
    <column name="readout_mode" type="unicode" ucd="instr.setup" description="Readout mode of the camera"/>
    <!-- VOUnits has neither degrees Celsius nor percent, and a client that does not know a unit warns of it or
         fails: the descriptions of these four say it. -->
    <column name="ccd_temperature" type="double precision" ucd="phys.temperature;instr.det"
      description="Temperature of the detector, in degrees Celsius"/>
    <column name="airmass" type="double precision" ucd="obs.airMass" description="Airmass"/>
    <column name="ambient_temperature" type="double precision" ucd="phys.temperature;obs.atmos"
      description="Temperature of the air, in degrees Celsius"/>
    <column name="dew_point" type="double precision" ucd="phys.temperature;obs.atmos"
      description="Dew point, in degrees Celsius"/>
    <column name="pressure" type="double precision" unit="hPa" ucd="phys.pressure;obs.atmos"
      description="Pressure of the air"/>
    <column name="humidity" type="double precision" ucd="obs.param;obs.atmos"
      description="Relative humidity, in percent"/>
    <column name="wind_speed" type="double precision" unit="km/h" ucd="phys.veloc;obs.atmos"
      description="Speed of the wind"/>
    <column name="wind_direction" type="double precision" unit="deg" ucd="pos.posAng;obs.atmos"
      description="Where the wind comes from, from north through east"/>
    <column name="site_latitude" type="double precision" unit="deg" ucd="pos.earth.lat;obs.observer"
      description="Latitude of the site"/>
    <column name="site_longitude" type="double precision" unit="deg" ucd="pos.earth.lon;obs.observer"
      description="Longitude of the site, east positive"/>
    <column name="site_elevation" type="double precision" unit="m" ucd="pos.earth.altitude;obs.observer"
      description="Height of the site above sea level"/>
    <column name="observer" type="unicode" ucd="meta.id;obs.observer" description="Who observed"/>
    <column name="software" type="unicode" ucd="meta.id;meta.software" description="Program that wrote the file"/>
    <column name="pos" type="spoint" hidden="True" description="s_ra, s_dec as a point, indexed"/>
    <column name="footprint" type="spoly" hidden="True" description="s_region as a polygon, indexed"/>

    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT p.obs_publisher_did, p.obs_id, r.name AS run_name, p.path,
        coalesce((SELECT context.base_url()), (SELECT public_url FROM archive.site)) || '/datalink/file?ID=' || p.obs_publisher_did AS access_url,
        p.media_type AS access_format, p.file_size, encode(p.sha256, 'hex') AS sha256,
        date_trunc('second', p.file_modified AT TIME ZONE 'UTC') AS file_modified,
        date_trunc('second', p.ingested AT TIME ZONE 'UTC') AS ingested,
        date_trunc('second', p.missing_since AT TIME ZONE 'UTC') AS missing_since,
        j.name AS project, u.name AS creator, p.privileges::int AS "privileges", p.is_valid::int AS is_valid,
        date_trunc('second', p.release_date AT TIME ZONE 'UTC') AS obs_release_date,
        CASE WHEN p.privileges >= 4 OR p.release_date &lt;= now() THEN 'public' ELSE 'proprietary' END
          AS data_rights,
        p.dataproduct_type, p.exposure_type, p.calib_level::int AS calib_level, p.target_id,
        p.target_name, p.header_target, p.header_instrument, p.header_telescope, p.header_filter, p.header_observer,
        p.s_ra, p.s_dec, p.position_source, p.s_fov, p.s_region, p.s_pixel_scale,
        p.s_orientation, p.s_parity::int AS s_parity, p.s_xel1, p.s_xel2, p.t_min, p.t_max, p.t_exptime,
        p.t_xel, p.hjd, p.hjd_source, p.bjd, p.bjd_source, p.filter_name, p.em_min, p.em_max, p.facility_name, p.telescope_name,
        p.instrument_name, p.focal_length, p.pixel_size, p.binning_x::int AS binning_x,
        p.binning_y::int AS binning_y, p.gain, p.egain, p.pedestal, p.black_level, p.readout_mode,
        p.ccd_temperature, p.airmass, p.ambient_temperature, p.dew_point, p.pressure, p.humidity,
        p.wind_speed, p.wind_direction, p.site_latitude, p.site_longitude, p.site_elevation,
        p.observer, p.software, p.pos, p.region AS footprint
      FROM archive.products p
        LEFT JOIN archive.runs r ON r.run_id = p.run_id
        LEFT JOIN archive.projects j ON j.project_id = p.project_id
        LEFT JOIN archive.users u ON u.user_id = p.creator_id
      WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
    </viewStatement>
  </table>

  <table id="runs" adql="True" onDisk="True">
    <meta name="description">The runs: top-level directories of the data root, mostly one a night.</meta>
    <index columns="run_name" metaOnly="True"/>
    <column name="run_name" type="unicode" required="True" ucd="meta.id;meta.main" description="Name of the run"/>
    <column name="night" type="text" ucd="time.epoch;obs"
      description="Date on which the night began, as year-month-day"/>
    <column name="project" type="text" required="True" ucd="meta.id" description="Project of the run"/>
    <column name="reduction_status" type="text" required="True" ucd="meta.code.status"
      description="Whether its data are reduced, as people say: not, partly, fully or error"/>
    <column name="photometry" type="integer" required="True" ucd="meta.code"
      description="1 where people say that it is good for photometry, else 0"/>
    <column name="spectroscopy" type="integer" required="True" ucd="meta.code"
      description="1 where people say that it has spectra, else 0"/>
    <column name="tags" type="unicode" ucd="meta.id" description="Tags that people gave it, with commas"/>
    <column name="note" type="unicode" required="True" ucd="meta.note" description="What people noted of it"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT r.name AS run_name, r.night::text AS night, j.name AS project, r.reduction_status,
        r.photometry::int AS photometry, r.spectroscopy::int AS spectroscopy,
        (SELECT string_agg(g.name, ',' ORDER BY g.name) FROM archive.run_tags l
          JOIN archive.tags g ON g.tag_id = l.tag_id WHERE l.run_id = r.run_id) AS tags, r.note
      FROM archive.runs r LEFT JOIN archive.projects j ON j.project_id = r.project_id
      WHERE EXISTS (SELECT FROM archive.products p WHERE p.run_id = r.run_id
        AND context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id))
    </viewStatement>
  </table>

  <table id="targets" adql="True" onDisk="True">
    <meta name="description">The objects that were observed, and well-known ones in the fields of frames.</meta>
    <index columns="target_id" metaOnly="True"/>
    <index columns="target_name" metaOnly="True"/>
    <index columns="s_ra, s_dec" metaOnly="True"/>
    <column name="target_id" type="integer" required="True" ucd="meta.id" description="Number of the object"/>
    <column name="target_name" type="unicode" required="True" ucd="meta.id;meta.main"
      description="Name of the object"/>
    <column name="target_class" type="text" ucd="src.class" description="Kind of the object"/>
    <column name="s_ra" type="double precision" unit="deg" ucd="pos.eq.ra;meta.main"
      description="Right ascension, ICRS; null for what moves, and where unknown"/>
    <column name="s_dec" type="double precision" unit="deg" ucd="pos.eq.dec;meta.main"
      description="Declination, ICRS; null for what moves, and where unknown"/>
    <column name="angular_size" type="double precision" unit="deg" ucd="phys.angSize"
      description="Longest diameter"/>
    <column name="resolved_by" type="text" ucd="meta.ref"
      description="Catalogue that knows it; null where no catalogue does"/>
    <column name="tags" type="unicode" ucd="meta.id" description="Tags that people gave it, with commas"/>
    <column name="note" type="unicode" required="True" ucd="meta.note" description="What people noted of it"/>
    <column name="pos" type="spoint" hidden="True" description="s_ra, s_dec as a point, indexed"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT t.target_id, t.name AS target_name, t.target_class, t.s_ra, t.s_dec, t.angular_size,
        t.resolved_by, (SELECT string_agg(g.name, ',' ORDER BY g.name) FROM archive.target_tags l
          JOIN archive.tags g ON g.tag_id = l.tag_id WHERE l.target_id = t.target_id) AS tags, t.note, t.pos
      FROM archive.targets t
      WHERE t.merged_into IS NULL AND (
        EXISTS (SELECT FROM archive.products p WHERE p.target_id = t.target_id
          AND context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id))
        OR (t.is_prominent AND EXISTS (SELECT FROM archive.product_targets l
          JOIN archive.products p ON p.product_id = l.product_id WHERE l.target_id = t.target_id
          AND context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id))))
    </viewStatement>
  </table>

  <table id="target_aliases" adql="True" onDisk="True">
    <meta name="description">What the objects of ost.targets are called, their own names among it.</meta>
    <index columns="target_id" metaOnly="True"/>
    <index columns="alias_key" metaOnly="True"/>
    <column name="target_id" type="integer" required="True" ucd="meta.id" description="Number of the object"/>
    <column name="alias" type="unicode" required="True" ucd="meta.id" description="A name of it"/>
    <column name="alias_key" type="unicode" required="True" ucd="meta.id"
      description="What all spellings of the name share: small letters, no blanks, hyphens and leading zeros"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT a.target_id, a.name AS alias, a.key AS alias_key
      FROM archive.target_aliases a JOIN archive.targets t ON t.target_id = a.target_id
      WHERE EXISTS (SELECT FROM archive.products p WHERE p.target_id = t.target_id
          AND (a.source &lt;> 'header' OR a.name = t.name OR a.name = p.target_alias)
          AND context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id))
        OR (t.is_prominent AND (a.source &lt;> 'header' OR a.name = t.name)
          AND EXISTS (SELECT FROM archive.product_targets l
            JOIN archive.products p ON p.product_id = l.product_id WHERE l.target_id = t.target_id
            AND context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)))
    </viewStatement>
  </table>

  <table id="product_targets" adql="True" onDisk="True">
    <meta name="description">All objects of the data products: their own one, and what else is in the field.</meta>
    <index columns="obs_publisher_did" metaOnly="True"/>
    <index columns="target_id" metaOnly="True"/>
    <column name="obs_publisher_did" type="text" required="True" ucd="meta.ref.ivoid;meta.main"
      description="IVOA identifier of the data product"/>
    <column name="target_id" type="integer" required="True" ucd="meta.id" description="Number of the object"/>
    <column name="target_name" type="unicode" required="True" ucd="meta.id;src"
      description="Name of the object"/>
    <column name="is_main" type="integer" required="True" ucd="meta.code"
      description="1 for the product's own target, 0 for what else is in its field"/>
    <column name="separation" type="double precision" unit="deg" ucd="pos.angDistance"
      description="Distance from the centre of the field; null where unknown"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT p.obs_publisher_did, t.target_id, t.name AS target_name, 1 AS is_main,
        degrees(t.pos &lt;-> p.pos) AS separation
      FROM archive.products p JOIN archive.targets t ON t.target_id = p.target_id
      WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
      UNION ALL
      SELECT p.obs_publisher_did, t.target_id, t.name, 0, l.separation
      FROM archive.product_targets l
        JOIN archive.products p ON p.product_id = l.product_id
        JOIN archive.targets t ON t.target_id = l.target_id
      WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
        AND (t.is_prominent OR EXISTS (SELECT FROM archive.products q WHERE q.target_id = t.target_id
          AND context.in_scope(q.privileges, q.release_date, q.project_id, q.creator_id)))
    </viewStatement>
  </table>

  <table id="projects" adql="True" onDisk="True">
    <meta name="description">The projects: the public ones, and those that the caller is a member of.</meta>
    <index columns="project" metaOnly="True"/>
    <column name="project" type="text" required="True" ucd="meta.id;meta.main" description="Name of the project"/>
    <column name="description" type="unicode" ucd="meta.note" description="What it is about"/>
    <column name="instrument" type="unicode" ucd="meta.id;instr" description="Its instrument; null for any"/>
    <column name="is_public" type="integer" required="True" ucd="meta.code"
      description="1 if every user of the archive is a member"/>
    <column name="max_privileges" type="integer" required="True" ucd="meta.code"
      description="Highest level that a member may give a data product"/>
    <column name="is_member" type="integer" required="True" ucd="meta.code"
      description="1 if the caller is a member"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT j.name AS project, j.description, j.instrument, j.is_public::int AS is_public,
        j.max_privileges::int AS max_privileges,
        (j.project_id = ANY (context.member_project_ids()))::int AS is_member
      FROM archive.projects j
      WHERE context.project_in_scope(j.project_id, j.is_public)
    </viewStatement>
  </table>

  <table id="lineage" adql="True" onDisk="True">
    <meta name="description">Which data product was made from which; both visible to the caller.</meta>
    <index columns="obs_publisher_did" metaOnly="True"/>
    <index columns="progenitor_did" metaOnly="True"/>
    <column name="obs_publisher_did" type="text" required="True" ucd="meta.ref.ivoid;meta.main"
      description="IVOA identifier of the data product"/>
    <column name="progenitor_did" type="text" required="True" ucd="meta.ref.ivoid"
      description="IVOA identifier of a data product that it was made from"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT p.obs_publisher_did, q.obs_publisher_did AS progenitor_did
      FROM archive.lineage l
        JOIN archive.products p ON p.product_id = l.product_id
        JOIN archive.products q ON q.product_id = l.progenitor_id
      WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
        AND context.in_scope(q.privileges, q.release_date, q.project_id, q.creator_id)
    </viewStatement>
  </table>

  <table id="headers" adql="True" onDisk="True">
    <meta name="description">The headers of the data products, as their files have them.</meta>
    <index columns="obs_publisher_did" metaOnly="True"/>
    <column name="obs_publisher_did" type="text" required="True" ucd="meta.ref.ivoid;meta.main"
      description="IVOA identifier of the data product"/>
    <column name="hdu" type="integer" required="True" ucd="meta.number"
      description="Number of the header unit in the file, from 0"/>
    <column name="header" type="unicode" required="True" ucd="meta.note"
      description="Its cards, one a line"/>
    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT p.obs_publisher_did, h.hdu, h.header
      FROM archive.headers h JOIN archive.products p ON p.product_id = h.product_id
      WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
    </viewStatement>
  </table>

  <data id="import">
    <make table="products"/>
    <make table="runs"/>
    <make table="targets"/>
    <make table="target_aliases"/>
    <make table="product_targets"/>
    <make table="projects"/>
    <make table="lineage"/>
    <make table="headers"/>
  </data>
</resource>
