<resource schema="ost" resdir="registry">
  <!-- What the registries of the Virtual Observatory learn of the archive; authority and registry are in
       userconfig.rd. DaCHS makes these records (`dachs pub`) with what etc/defaultmeta.txt says of the
       installation. It does not know our services: ost_vo/services/records.py adds their capabilities, tables,
       coverage, and the terms of use; /oai.xml answers. There is nothing here to import. -->
  <meta name="creationDate">2026-11-22T00:00:00Z</meta>
  <meta name="contentLevel">Research</meta>
  <meta name="subject">observational-astronomy</meta>
  <meta name="type">Archive</meta>

  <resRec id="organisation">
    <meta name="resType">organization</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/organisation</meta>
    <meta name="title">\metaString{publisher}</meta>
    <meta name="shortName">\metaString{authority.shortName} org</meta>
    <meta name="description">Runs the observatory and its archive: \metaString{publisher}.</meta>
    <meta name="type">Organisation</meta>
    <meta name="referenceURL">\metaString{ost.organisationURL}</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
  </resRec>

  <resRec id="archive">
    <meta name="resType">dataService</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/archive</meta>
    <meta name="title">Observations of the observatory \metaString{ost.facility}</meta>
    <meta name="referenceURL">\metaString{ost.publicURL}/</meta>
    <meta name="shortName">\metaString{authority.shortName} data</meta>
    <meta name="description">Images, spectra and videos of the observatory \metaString{ost.facility}, raw and
      reduced, with their calibration frames: stars, clusters, nebulae, galaxies, comets and planets, in optical
      filters and with several spectrographs. The table ivoa.obscore describes each file in the columns of the
      data model ObsCore.</meta>
    <meta name="subject">astronomical-images</meta>
    <meta name="subject">optical-astronomy</meta>
    <meta name="subject">spectroscopy</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
    <meta name="isServedBy">\metaString{ost.facility} archive: TAP
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/tap</meta></meta>
    <meta name="isServedBy">\metaString{ost.facility} archive: image access
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/sia</meta></meta>
  </resRec>

  <resRec id="tap">
    <meta name="resType">dataService</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/tap</meta>
    <meta name="title">\metaString{ost.facility} archive: TAP</meta>
    <meta name="referenceURL">\metaString{ost.publicURL}/</meta>
    <meta name="shortName">\metaString{authority.shortName} TAP</meta>
    <meta name="description">Queries in ADQL of all tables of the archive of the observatory
      \metaString{ost.facility}: ivoa.obscore with its images, spectra and videos, and ost.* with what an
      observer asks for beyond that: filters, cameras, runs, targets, headers and lineage.</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
    <meta name="isServiceFor">Observations of the observatory \metaString{ost.facility}
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/archive</meta></meta>
  </resRec>

  <resRec id="sia">
    <meta name="resType">dataService</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/sia</meta>
    <meta name="title">\metaString{ost.facility} archive: image access</meta>
    <meta name="referenceURL">\metaString{ost.publicURL}/</meta>
    <meta name="shortName">\metaString{authority.shortName} SIA</meta>
    <meta name="description">Searches for images and cubes of the observatory \metaString{ost.facility} by
      position, wavelength, time and more (SIA 2.0).</meta>
    <meta name="subject">astronomical-images</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
    <meta name="isServiceFor">Observations of the observatory \metaString{ost.facility}
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/archive</meta></meta>
  </resRec>

  <resRec id="datalink">
    <meta name="resType">dataService</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/datalink</meta>
    <meta name="title">\metaString{ost.facility} archive: links</meta>
    <meta name="referenceURL">\metaString{ost.publicURL}/</meta>
    <meta name="shortName">\metaString{authority.shortName} links</meta>
    <meta name="description">From the identifier of an observation of the observatory
      \metaString{ost.facility} to its file, header, lineage, calibration frames and cutouts
      (DataLink).</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
    <meta name="isServiceFor">Observations of the observatory \metaString{ost.facility}
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/archive</meta></meta>
  </resRec>

  <resRec id="soda">
    <meta name="resType">dataService</meta>
    <meta name="sets">ivo_managed</meta>
    <meta name="identifier">ivo://\getConfig{ivoa}{authority}/soda</meta>
    <meta name="title">\metaString{ost.facility} archive: cutouts</meta>
    <meta name="referenceURL">\metaString{ost.publicURL}/</meta>
    <meta name="shortName">\metaString{authority.shortName} cutouts</meta>
    <meta name="description">Cuts a circle, a polygon or a range out of an image or a cube of the observatory
      \metaString{ost.facility} (SODA).</meta>
    <meta name="facility">\metaString{ost.facility}</meta>
    <meta name="isServiceFor">Observations of the observatory \metaString{ost.facility}
      <meta name="ivoId">ivo://\getConfig{ivoa}{authority}/archive</meta></meta>
  </resRec>
</resource>
