<resource schema="__system">
  <!-- The two records that DaCHS keeps among its own (//services): the authority, and the registry. This is
       copied to DaCHS' etc/userconfig.rd, where it looks for them. -->
  <STREAM id="registry-interfacerecords">
    <resRec id="authority">
      <meta name="resType">authority</meta>
      <meta name="sets">ivo_managed</meta>
      <meta name="identifier">ivo://\getConfig{ivoa}{authority}</meta>
      <meta name="creationDate">2026-11-22T00:00:00Z</meta>
      <meta name="title">Authority of the \\metaString{ost.facility} archive</meta>
      <meta name="shortName">\\metaString{authority.shortName} auth</meta>
      <meta name="subject">virtual-observatories</meta>
      <meta name="description">Names everything that the archive of the observatory \\metaString{ost.facility}
        gives identifiers to: its data, its services, its registry.</meta>
      <meta name="referenceURL">\\metaString{ost.publicURL}/</meta>
      <meta name="managingOrg">\\metaString{publisher}
        <meta name="ivo-id">ivo://\getConfig{ivoa}{authority}/organisation</meta></meta>
    </resRec>

    <service id="registry" allowed="pubreg.xml">
      <registryCore/>
      <publish render="pubreg.xml" sets="ivo_managed">
        <meta name="accessURL">\\metaString{ost.publicURL}/oai.xml</meta>
      </publish>
      <meta name="resType">registry</meta>
      <meta name="identifier">ivo://\getConfig{ivoa}{authority}/registry</meta>
      <meta name="creationDate">2026-11-22T00:00:00Z</meta>
      <meta name="title">\\metaString{ost.facility} archive: registry</meta>
      <meta name="shortName">\\metaString{authority.shortName} registry</meta>
      <meta name="subject">virtual-observatories</meta>
      <meta name="description">The publishing registry of the archive of the observatory
        \\metaString{ost.facility}.</meta>
      <meta name="referenceURL">\\metaString{ost.publicURL}/</meta>
      <meta name="harvest.description">For registries that harvest the archive's records.</meta>
      <meta name="type">Archive</meta>
      <meta name="contentLevel">Research</meta>
      <meta name="maxRecords">10000</meta>
      <meta name="managedAuthority">\getConfig{ivoa}{authority}</meta>
    </service>
  </STREAM>
</resource>
