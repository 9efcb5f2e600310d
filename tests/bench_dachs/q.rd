<resource schema="bench" resdir="bench">
  <meta name="title">Frames that tests/bench_services.py measures with</meta>
  <meta name="creationDate">2026-11-22T00:00:00Z</meta>
  <meta name="description">What DaCHS serves out of the box: SIA 2.0 and TAP over ObsCore, DataLink, SODA,
    files.</meta>
  <meta name="subject">observational-astronomy</meta>
  <meta name="creator.name">OST observatory</meta>
  <meta name="instrument">bench</meta>

  <!-- Compressed frames apart: DaCHS' quick reader of headers, which all others get, does not know them. -->
  <!-- The mixin of images without its index of Q3C's, an extension that nothing here needs. -->
  <STREAM id="columns">
    <mixin>//products#table</mixin>
    <FEED source="//siap#SIAPbase"/>
    <column name="coverage" type="spoly" unit="deg" description="Field covered by the image"/>
    <index columns="coverage" method="GIST"/>
    <mixin calibLevel="1" collectionName="'bench'">//obscore#publishSIAP</mixin>
  </STREAM>

  <table id="frames" onDisk="True" adql="True"><FEED source="columns"/></table>

  <table id="compressed" onDisk="True" adql="True"><FEED source="columns"/></table>

  <STREAM id="rows">
    <make table="\table">
      <rowmaker>
        <apply procDef="//siap#setMeta">
          <bind key="dateObs">@DATE_OBS</bind>
          <bind key="bandpassId">@FILTER</bind>
          <bind key="title">"{} {}".format(@OBJECT, @DATE_OBS)</bind>
        </apply>
        <apply procDef="//siap#getBandFromFilter"/>
        <apply procDef="//siap#computePGS"/>
      </rowmaker>
    </make>
  </STREAM>

  <data id="import_frames">
    <sources pattern="data/*.fits"/>
    <fitsProdGrammar>
      <rowfilter procDef="//products#define"><bind key="table">"\schema.frames"</bind></rowfilter>
    </fitsProdGrammar>
    <FEED source="rows" table="frames"/>
  </data>

  <data id="import_compressed">
    <sources pattern="data/*.fits.fz"/>
    <fitsProdGrammar qnd="False">
      <rowfilter procDef="//products#define"><bind key="table">"\schema.compressed"</bind></rowfilter>
    </fitsProdGrammar>
    <FEED source="rows" table="compressed"/>
  </data>

  <service id="links" allowed="dlmeta,dlget">
    <meta name="title">Links and cutouts of frames</meta>
    <meta name="shortName">bench links</meta>
    <datalinkCore>
      <descriptorGenerator procDef="//soda#fits_genDesc"/>
      <FEED source="//soda#fits_standardDLFuncs"/>
    </datalinkCore>
  </service>

  <service id="compressed_links" allowed="dlmeta,dlget">
    <meta name="title">Links and cutouts of compressed frames</meta>
    <meta name="shortName">bench links fz</meta>
    <datalinkCore>
      <descriptorGenerator procDef="//soda#fits_genDesc"><bind key="qnd">False</bind></descriptorGenerator>
      <FEED source="//soda#fits_standardDLFuncs"/>
    </datalinkCore>
  </service>

  <service id="files" allowed="static">
    <meta name="title">The files</meta>
    <meta name="shortName">bench files</meta>
    <nullCore/>
    <property key="staticData">data</property>
  </service>
</resource>
