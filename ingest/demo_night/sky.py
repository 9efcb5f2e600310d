"""The sky over the observatory during the demo night: where a target stands, and the weather."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import erfa

LATITUDE = 52.409184  # deg
LONGITUDE = 12.973185  # deg, east positive
ELEVATION = 39.0  # m


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target stands.

    Attributes:
        altitude, azimuth: without refraction, azimuth from north over east [deg].
        hour_angle: [h], positive in the west.
        airmass: after Kasten and Young (1989).
    """

    altitude: float
    azimuth: float
    hour_angle: float
    airmass: float


@dataclass(frozen=True, slots=True)
class Weather:
    """Conditions at the site: temperatures [C], pressure [hPa], humidity [%], wind [m/s] and whence [deg]."""

    temperature: float
    dew_point: float
    pressure: float
    humidity: float
    wind_speed: float
    wind_direction: float


def place(ra: float, dec: float, time: datetime) -> Place:
    """Return where an ICRS position [deg] stands at a time (UTC).

    The Earth's rotation is taken as UTC: what UT1 differs by moves a star by less than 15 arcsec, and needs
    tables that grow old.
    """
    day = erfa.dtf2d("UTC", time.year, time.month, time.day, time.hour, time.minute, time.second)
    site = (math.radians(LONGITUDE), math.radians(LATITUDE), ELEVATION)
    azimuth, zenith, hour_angle, *_ = erfa.atco13(
        math.radians(ra), math.radians(dec), 0, 0, 0, 0, *day, 0.0, *site, 0, 0, 0, 0, 0, 0.55
    )
    altitude = 90 - math.degrees(zenith)
    airmass = 1 / (math.sin(math.radians(altitude)) + 0.50572 * (altitude + 6.07995) ** -1.6364)
    return Place(altitude, math.degrees(azimuth), math.degrees(hour_angle) / 15, airmass)


def weather(time: datetime) -> Weather:
    """Return a clear, calm winter night's weather at a time (UTC): the air cools towards the morning."""
    hours = (time.hour - 16) % 24 + time.minute / 60
    temperature = 1.5 - 4.5 * (1 - math.exp(-hours / 6))
    dew_point = temperature - 3.2 + 0.15 * hours
    humidity = 100 * math.exp(
        17.62 * dew_point / (243.1 + dew_point) - 17.62 * temperature / (243.1 + temperature)
    )
    return Weather(
        temperature=round(temperature, 2),
        dew_point=round(dew_point, 2),
        pressure=round(1019.4 + 0.11 * hours, 1),
        humidity=round(humidity, 1),
        wind_speed=round(1.6 + 0.7 * math.sin(hours), 2),
        wind_direction=round(248 + 20 * math.sin(hours / 3), 1),
    )


def julian_date(time: datetime) -> float:
    """Return the Julian date of a time (UTC)."""
    return sum(erfa.dtf2d("UTC", time.year, time.month, time.day, time.hour, time.minute, time.second))


def julian_year(time: datetime) -> float:
    """Return a time as Julian year, as in 2026.12."""
    return 2000 + (julian_date(time) - 2451545.0) / 365.25
