"""What ingest knows of the observatory, apart from its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ingest import names
from ingest.names import Names
from ost_vo.access import rules
from ost_vo.access.rules import Rule
from ost_vo.store import moves
from ost_vo.vo.lighttime import Site

if TYPE_CHECKING:
    from ost_vo.settings import Settings


@dataclass(frozen=True, slots=True)
class Observatory:
    """The observatory that files come from where they say nothing else.

    Attributes:
        name: as facility_name has it.
        site: where its telescopes stand.
        names: of telescopes, instruments, filters and observers.
        zone: of clocks that show local time.
        rules: of runs, of which some say that their clocks were elsewhere.
    """

    name: str
    site: Site
    names: Names
    zone: ZoneInfo
    rules: Sequence[Rule] = ()

    @classmethod
    def of(cls, settings: Settings) -> Observatory:
        """Return the observatory of an installation.

        Raises:
            UsageFault: the table of names or that of rules cannot be used.
        """
        site = Site(settings.site_latitude, settings.site_longitude, settings.site_elevation)
        return cls(
            settings.facility,
            site,
            names.read(settings.names),
            settings.zone,
            rules.read(settings.run_rules),
        )

    def zone_of(self, path: str) -> ZoneInfo:
        """Return the zone of the clocks that a file's local times were read from, by its path's run."""
        rule = rules.first_match(self.rules, moves.run_of(path))
        return rule.zone if rule and rule.zone else self.zone
