<resource schema="ivoa" resdir="obscore">
  <meta name="title">Observations of the OST observatory (ObsCore)</meta>
  <meta name="creationDate">2026-11-21T00:00:00Z</meta>
  <meta name="description">Images, spectra and cubes taken at the OST observatory of the University of
    Potsdam, described by the IVOA ObsCore data model.</meta>
  <meta name="subject">observational-astronomy</meta>
  <meta name="creator.name">OST observatory</meta>
  <meta name="contentLevel">Research</meta>
  <meta name="type">Archive</meta>

  <!-- Who may see a row is decided by context.in_vo_scope; see ost_vo/store/migrations. The hidden columns
       pos and footprint are there for the ADQL translator: TAP_SCHEMA does not list them. -->
  <table id="obscore" adql="True" onDisk="True">
    <meta name="description">One row for each data product, in the columns of ObsCore 1.1.</meta>
    <meta name="utype">ivo://ivoa.net/std/ObsCore#table-1.1</meta>
    <property key="supportsModel">Obscore-1.1</property>
    <property key="supportsModelURI">ivo://ivoa.net/std/ObsCore#core-1.1</property>

    <index columns="obs_publisher_did" metaOnly="True"/>
    <index columns="obs_id" metaOnly="True"/>
    <index columns="target_name" metaOnly="True"/>
    <index columns="t_min" metaOnly="True"/>
    <index columns="s_ra, s_dec" metaOnly="True"/>
    <index columns="s_region" metaOnly="True"/>

    <column name="dataproduct_type" type="text" ucd="meta.code.class"
      utype="obscore:ObsDataset.dataProductType"
      description="Kind of data: image, cube, spectrum, timeseries, measurements">
      <property name="std">1</property></column>
    <column name="dataproduct_subtype" type="text" ucd="meta.code.class"
      utype="obscore:ObsDataset.dataProductSubtype"
      description="Finer kind: bias, dark, flat, light or wave frame"/>
    <column name="calib_level" type="integer" required="True" ucd="meta.code;obs.calib"
      utype="obscore:ObsDataset.calibLevel"
      description="Calibration: 0 raw in its own format, 1 raw in a standard format, 2 calibrated, 3 derived">
      <property name="std">1</property></column>
    <column name="target_name" type="unicode" ucd="meta.id;src"
      utype="obscore:Target.Name" description="Name of the object observed">
      <property name="std">1</property></column>
    <column name="target_class" type="text" ucd="src.class"
      utype="obscore:Target.Class" description="Kind of the object observed"/>
    <column name="obs_id" type="unicode" required="True" ucd="meta.id"
      utype="obscore:DataID.observationID" description="Identifier of the observation">
      <property name="std">1</property></column>
    <column name="obs_title" type="unicode" ucd="meta.title;obs"
      utype="obscore:DataID.Title" description="Title of the data product"/>
    <column name="obs_collection" type="text" required="True" ucd="meta.id"
      utype="obscore:DataID.Collection" description="Project that the data product belongs to">
      <property name="std">1</property></column>
    <column name="obs_publisher_did" type="text" required="True" ucd="meta.ref.ivoid"
      utype="obscore:Curation.PublisherDID" description="IVOA identifier of the data product">
      <property name="std">1</property></column>
    <column name="obs_creator_name" type="unicode" ucd="meta.id"
      utype="obscore:DataID.Creator" description="Who ingested or made the data product"/>
    <column name="obs_release_date" type="timestamp" ucd="time.release"
      utype="obscore:Curation.releaseDate" description="When the data product becomes or became public (UTC)"/>
    <column name="data_rights" type="text" ucd="meta.code"
      utype="obscore:Curation.Rights" description="Who may get the data: public, secure or proprietary"/>
    <column name="proposal_id" type="unicode" ucd="meta.id;obs.proposal"
      utype="obscore:Provenance.Proposal.identifier" description="Identifier of the proposal"/>
    <column name="access_url" type="text" ucd="meta.ref.url"
      utype="obscore:Access.Reference" description="DataLink document that leads to the data">
      <property name="std">1</property></column>
    <column name="access_format" type="text" ucd="meta.code.mime"
      utype="obscore:Access.Format" description="Media type of what access_url returns">
      <property name="std">1</property></column>
    <column name="access_estsize" type="bigint" unit="kbyte" ucd="phys.size;meta.file"
      utype="obscore:Access.Size" description="Size of the file">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="s_ra" type="double precision" unit="deg" ucd="pos.eq.ra"
      utype="obscore:Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1"
      description="Right ascension of the centre, ICRS">
      <property name="std">1</property></column>
    <column name="s_dec" type="double precision" unit="deg" ucd="pos.eq.dec"
      utype="obscore:Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2"
      description="Declination of the centre, ICRS">
      <property name="std">1</property></column>
    <column name="s_fov" type="double precision" unit="deg" ucd="phys.angSize;instr.fov"
      utype="obscore:Char.SpatialAxis.Coverage.Bounds.Extent.diameter"
      description="Diameter of a circle that covers the field">
      <property name="std">1</property></column>
    <column name="s_region" type="text" xtype="adql:REGION" ucd="pos.outline;obs.field"
      utype="obscore:Char.SpatialAxis.Coverage.Support.Area"
      description="Outline of the field, STC-S in ICRS">
      <property name="std">1</property></column>
    <column name="s_resolution" type="double precision" unit="arcsec" ucd="pos.angResolution"
      utype="obscore:Char.SpatialAxis.Resolution.Refval.value"
      description="Angular resolution (FWHM)">
      <property name="std">1</property></column>
    <column name="s_pixel_scale" type="double precision" unit="arcsec" ucd="phys.angSize;instr.pixel"
      utype="obscore:Char.SpatialAxis.Sampling.RefVal.SamplingPeriod"
      description="Angle that one pixel covers"/>
    <column name="s_xel1" type="bigint" ucd="meta.number"
      utype="obscore:Char.SpatialAxis.numBins1"
      description="Pixels along the first spatial axis">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="s_xel2" type="bigint" ucd="meta.number"
      utype="obscore:Char.SpatialAxis.numBins2"
      description="Pixels along the second spatial axis">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="t_min" type="double precision" unit="d" ucd="time.start;obs.exposure"
      utype="obscore:Char.TimeAxis.Coverage.Bounds.Limits.StartTime"
      description="Start of the exposure, MJD in UTC">
      <property name="std">1</property></column>
    <column name="t_max" type="double precision" unit="d" ucd="time.end;obs.exposure"
      utype="obscore:Char.TimeAxis.Coverage.Bounds.Limits.StopTime"
      description="End of the exposure, MJD in UTC">
      <property name="std">1</property></column>
    <column name="t_exptime" type="double precision" unit="s" ucd="time.duration;obs.exposure"
      utype="obscore:Char.TimeAxis.Coverage.Support.Extent"
      description="Exposure time; 0 for bias frames">
      <property name="std">1</property></column>
    <column name="t_resolution" type="double precision" unit="s" ucd="time.resolution"
      utype="obscore:Char.TimeAxis.Resolution.Refval.value"
      description="Resolution along the time axis">
      <property name="std">1</property></column>
    <column name="t_xel" type="bigint" ucd="meta.number"
      utype="obscore:Char.TimeAxis.numBins"
      description="Elements along the time axis">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="em_min" type="double precision" unit="m" ucd="em.wl;stat.min"
      utype="obscore:Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit"
      description="Shortest wavelength, in vacuum">
      <property name="std">1</property></column>
    <column name="em_max" type="double precision" unit="m" ucd="em.wl;stat.max"
      utype="obscore:Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit"
      description="Longest wavelength, in vacuum">
      <property name="std">1</property></column>
    <column name="em_res_power" type="double precision" ucd="spect.resolution"
      utype="obscore:Char.SpectralAxis.Resolution.ResolPower.refVal"
      description="Spectral resolving power">
      <property name="std">1</property></column>
    <column name="em_xel" type="bigint" ucd="meta.number"
      utype="obscore:Char.SpectralAxis.numBins"
      description="Elements along the spectral axis">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="o_ucd" type="text" ucd="meta.ucd"
      utype="obscore:Char.ObservableAxis.ucd" description="UCD of what was measured">
      <property name="std">1</property></column>
    <column name="pol_states" type="text" ucd="meta.code;phys.polarization"
      utype="obscore:Char.PolarizationAxis.stateList"
      description="Polarization states, between slashes">
      <property name="std">1</property></column>
    <column name="pol_xel" type="bigint" ucd="meta.number"
      utype="obscore:Char.PolarizationAxis.numBins"
      description="Number of polarization states">
      <property name="std">1</property><values nullLiteral="-1"/></column>
    <column name="facility_name" type="text" ucd="meta.id;instr.tel"
      utype="obscore:Provenance.ObsConfig.Facility.name" description="Observatory">
      <property name="std">1</property></column>
    <column name="instrument_name" type="unicode" ucd="meta.id;instr"
      utype="obscore:Provenance.ObsConfig.Instrument.name" description="Camera or spectrograph">
      <property name="std">1</property></column>
    <column name="pos" type="spoint" hidden="True" description="s_ra, s_dec as a point, indexed"/>
    <column name="footprint" type="spoly" hidden="True" description="s_region as a polygon, indexed"/>

    <viewStatement>
      CREATE VIEW \qName WITH (security_barrier) AS
      SELECT p.dataproduct_type, p.dataproduct_subtype, p.calib_level::int AS calib_level, p.target_name,
        t.target_class, p.obs_id, p.obs_title, j.name AS obs_collection, p.obs_publisher_did,
        coalesce(u.full_name, u.name) AS obs_creator_name,
        date_trunc('second', p.release_date AT TIME ZONE 'UTC') AS obs_release_date,
        CASE WHEN p.privileges >= 4 OR p.release_date &lt;= now() THEN 'public' ELSE 'proprietary' END
          AS data_rights,
        p.proposal_id,
        coalesce((SELECT context.base_url()), (SELECT public_url FROM archive.site)) || '/datalink/links?ID=' || p.obs_publisher_did AS access_url,
        'application/x-votable+xml;content=datalink'::text AS access_format,
        (p.file_size + 999) / 1000 AS access_estsize,
        p.s_ra, p.s_dec, p.s_fov, p.s_region, p.s_resolution, p.s_pixel_scale, p.s_xel1, p.s_xel2,
        p.t_min, p.t_max, p.t_exptime, p.t_resolution, p.t_xel,
        p.em_min, p.em_max, p.em_res_power, p.em_xel, p.o_ucd, p.pol_states, p.pol_xel,
        p.facility_name, p.instrument_name, p.pos, p.region AS footprint
      FROM archive.products p
        LEFT JOIN archive.projects j ON j.project_id = p.project_id
        LEFT JOIN archive.users u ON u.user_id = p.creator_id
        LEFT JOIN archive.targets t ON t.target_id = p.target_id
      WHERE p.is_valid AND p.missing_since IS NULL
        AND context.in_vo_scope(p.privileges, p.release_date, p.project_id, p.creator_id)
    </viewStatement>
  </table>

  <data id="import">
    <make table="obscore"/>
  </data>
</resource>
