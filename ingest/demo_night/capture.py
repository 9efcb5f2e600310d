"""Header cards as MaxIm DL, N.I.N.A. and SharpCap write them: each program's keywords, order and layout."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.demo_night import sky
from ingest.demo_night.astrometry import solution_values
from ingest.demo_night.equipment import DADOS
from ingest.demo_night.exposures import Exposure, Kind, Pointing, Program

Value = str | int | float
Entry = tuple[str, Value, str]

MAXIM_TYPES = {
    Kind.BIAS: "Bias Frame",
    Kind.DARK: "Dark Frame",
    Kind.FLAT: "Flat Field",
    Kind.LIGHT: "Light Frame",
    # The program knows no lamps.
    Kind.LAMP: "Light Frame",
}
ORIGIN = (
    "Simulated frame of the ost_vo demo, not an observation.",
    "Stars: Gaia DR3 (ESA/Gaia/DPAC) and Hipparcos.",
)


def cards(exposure: Exposure) -> list[str]:
    """Return the cards of a frame's header, 80 characters each, without END."""
    entries, layout = {
        Program.MAXIM_DL: (_maxim_entries, maxim_card),
        Program.NINA: (_nina_entries, _nina_card),
        Program.SHARPCAP: (_sharpcap_entries, _sharpcap_card),
    }[exposure.program]
    rows, columns = exposure.train.shape
    result = [_padded("SIMPLE  =                    T")]
    structure: list[Entry] = [
        ("BITPIX", 16, ""),
        ("NAXIS", 2, ""),
        ("NAXIS1", columns, ""),
        ("NAXIS2", rows, ""),
    ]
    result += [layout(*entry) for entry in (*structure, *entries(exposure))]
    if exposure.pointing and exposure.pointing.solved:
        result += [_solver_card(key, *rest) for key, rest in _solution(exposure, exposure.pointing)]
    return result + [_padded(f"HISTORY {line}") for line in ORIGIN]


def _solution(exposure: Exposure, pointing: Pointing) -> Iterable[tuple[str, tuple[Value, str]]]:
    yield from solution_values(exposure.train, pointing).items()
    if exposure.program is not Program.NINA:
        yield "MJD-OBS", (_modified_julian_date(exposure.start), "[d] Start of exposure")
    if exposure.program is Program.SHARPCAP:
        end = exposure.start + timedelta(seconds=exposure.seconds)
        yield "MJD-AVG", (_modified_julian_date(_middle(exposure)), "[d] Middle of exposure")
        yield "MJD-END", (_modified_julian_date(end), "[d] End of exposure")


def _number(value: float) -> str:
    """Return an integer or a logical as FITS has it."""
    return ("F", "T")[value] if isinstance(value, bool) else str(value)


def _padded(card: str) -> str:
    return f"{card[:80]:<80}"


def maxim_card(key: str, value: Value, comment: str) -> str:
    """Return a card as MaxIm DL lays it out: 17 significant digits, comments from column 33."""
    text = f"'{value:<8}'" if isinstance(value, str) else f"{_number(value):>20}"
    if isinstance(value, float):
        text = f"{value:>#20.17g}".upper()
    return _padded(f"{f'{key:<8}= {text} /':<32}{comment}")


def _nina_card(key: str, value: Value, comment: str) -> str:
    text = f"'{value}'" if isinstance(value, str) else _number(value)
    if isinstance(value, float):
        text = f"{value:.15g}"
        text += "" if "." in text else ".0"
    aligned = f"{text:<20}" if isinstance(value, str) else f"{text:>20}"
    return _padded(f"{key:<8}= {aligned}" + f" / {comment}" * bool(comment))


def _sharpcap_card(key: str, value: Value, comment: str) -> str:
    text = f"'{value:<8}'".ljust(20) if isinstance(value, str) else f"{_number(value):>20}"
    return _padded(f"{key:<8}= {text} / {comment}")


def _solver_card(key: str, value: Value, comment: str) -> str:
    text = f"'{value:<8}'".ljust(20) if isinstance(value, str) else f"{_number(value):>20}"
    if isinstance(value, float):
        text = f"{value:>20.12E}"
    return _padded(f"{key:<8}= {text} / {comment}")


def sexagesimal(degrees: float, sign: str = "") -> str:
    """Return an angle as `DD MM SS`; give hours as they are, and '+' where a plus sign is wanted."""
    seconds = round(abs(degrees) * 3600)
    lead = "-" if degrees < 0 else sign
    return f"{lead}{seconds // 3600:02d} {seconds // 60 % 60:02d} {seconds % 60:02d}"


def _ticks(time: datetime) -> str:
    """Return a time with the seven decimals of .NET programs."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}0"


def _modified_julian_date(time: datetime) -> float:
    return round(sky.julian_date(time) - 2400000.5, 9)


def _middle(exposure: Exposure) -> datetime:
    return exposure.start + timedelta(seconds=exposure.seconds / 2)


def _maxim_entries(exposure: Exposure) -> Iterable[Entry]:
    train = exposure.train
    spectrograph = train is DADOS
    yield "BSCALE", 1.0, "physical = BZERO + BSCALE*array_value"
    yield "BZERO", 32768.0, "physical = BZERO + BSCALE*array_value"
    yield "DATE-OBS", f"{exposure.start:%Y-%m-%dT%H:%M:%S}", "YYYY-MM-DDThh:mm:ss observation start, UT"
    yield "EXPTIME", exposure.seconds, "Exposure time in seconds"
    yield "EXPOSURE", exposure.seconds, "Exposure time in seconds"
    yield "SET-TEMP", exposure.temperature, "CCD temperature setpoint in C"
    yield "CCD-TEMP", exposure.temperature + 0.0625, "CCD temperature at start of exposure in C"
    yield "XPIXSZ", round(train.pixel, 6), "Pixel Width in microns (after binning)"
    yield "YPIXSZ", round(train.pixel, 6), "Pixel Height in microns (after binning)"
    yield "XBINNING", train.binning, "Binning factor in width"
    yield "YBINNING", train.binning, "Binning factor in height"
    yield "XORGSUBF", 0, "Subframe X position in binned pixels"
    yield "YORGSUBF", train.strip[0] if train.strip else 0, "Subframe Y position in binned pixels"
    yield "READOUTM", "Monochrome", "Readout mode of image"
    if exposure.filter:
        yield "FILTER", exposure.filter.name, "Filter used when taking image"
    yield "IMAGETYP", MAXIM_TYPES[exposure.kind], "Type of image"
    if exposure.pointing:
        yield from _maxim_target(exposure, exposure.pointing)
    yield "SITELAT", sexagesimal(sky.LATITUDE), "Latitude of the imaging location"
    yield "SITELONG", sexagesimal(sky.LONGITUDE), "Longitude of the imaging location"
    yield "JD", sky.julian_date(exposure.start), "Julian Date at start of exposure"
    yield "FOCALLEN", train.focal_length, "Focal length of telescope in mm"
    yield "APTDIA", train.aperture, "Aperture diameter of telescope in mm"
    yield "APTAREA", round(train.area * 1e6, 3), "Aperture area of telescope in mm^2"
    yield "EGAIN", train.camera.gain, "Electronic gain in e-/ADU"
    yield from _maxim_weather(exposure.start)
    yield "SWCREATE", "MaxIm DL Version 6.16 190601 00KPP", "Name of software"
    yield "SBSTDVER", "SBFITSEXT Version 1.0", "Version of SBFITSEXT standard in effect"
    yield "OBJECT", _maxim_object(exposure), ""
    yield "TELESCOP", train.telescope, "telescope used to acquire this image"
    yield "INSTRUME", train.camera.name, "instrument or camera used"
    yield "OBSERVER", "OST demo", ""
    yield "NOTES", "DADOS, 200 l/mm, 25 um slit" if spectrograph else "", ""
    yield "FLIPSTAT", "", ""


def _maxim_object(exposure: Exposure) -> str:
    if exposure.pointing:
        return exposure.pointing.target
    return "Neon" if exposure.kind is Kind.LAMP else ""


def _maxim_target(exposure: Exposure, pointing: Pointing) -> Iterable[Entry]:
    ra, dec = pointing.nominal
    place = sky.place(ra, dec, exposure.start)
    yield "OBJCTRA", sexagesimal(ra / 15), "Nominal Right Ascension of center of image"
    yield "OBJCTDEC", sexagesimal(dec, "+"), "Nominal Declination of center of image"
    yield "OBJCTALT", f"{place.altitude:8.4f}", "Nominal altitude of center of image"
    yield "OBJCTAZ", f"{place.azimuth:8.4f}", "Nominal azimuth of center of image"
    yield "OBJCTHA", f"{place.hour_angle:8.4f}", "Nominal hour angle of center of image"
    yield "AIRMASS", round(place.airmass, 6), "Relative optical path length through atmosphere"


def _maxim_weather(time: datetime) -> Iterable[Entry]:
    weather = sky.weather(time)
    yield "AOCAMBT", weather.temperature, "[C] Ambient temperature"
    yield "AOCDEW", weather.dew_point, "[C] Dew point"
    yield "AOCBAROM", weather.pressure, "[hPa] Barometric pressure"
    yield "AOCHUM", weather.humidity, "[%] Humidity"
    yield "AOCWIND", weather.wind_speed, "[m/s] Wind speed"
    yield "AOCWINDD", weather.wind_direction, "[deg] Wind direction, from north over east"


def _nina_entries(exposure: Exposure) -> Iterable[Entry]:
    train = exposure.train
    yield "BZERO", 32768, ""
    yield "EXTEND", True, "Extensions are permitted"
    yield "IMAGETYP", exposure.kind.name, "Type of exposure"
    yield "EXPOSURE", exposure.seconds, "[s] Exposure duration"
    yield "EXPTIME", exposure.seconds, "[s] Exposure duration"
    local = exposure.start.astimezone(ZoneInfo("Europe/Berlin"))
    yield "DATE-LOC", _ticks(local), "Time of observation (local)"
    yield "DATE-OBS", _ticks(exposure.start), "Time of observation (UTC)"
    yield "MJD-OBS", _modified_julian_date(exposure.start), "Modified Julian Date of observation"
    yield "DATE-AVG", _ticks(_middle(exposure)), "Averaged midpoint time (UTC)"
    yield "MJD-AVG", _modified_julian_date(_middle(exposure)), "Modified Julian Date of averaged midpoint"
    yield "XBINNING", train.binning, "X axis binning factor"
    yield "YBINNING", train.binning, "Y axis binning factor"
    yield "GAIN", 26, "Sensor gain"
    yield "OFFSET", 30, "Sensor gain offset"
    yield "EGAIN", train.camera.gain, "[e-/ADU] Electrons per A/D unit"
    yield "XPIXSZ", train.pixel, "[um] Pixel X axis size"
    yield "YPIXSZ", train.pixel, "[um] Pixel Y axis size"
    yield "INSTRUME", train.camera.name, "Imaging instrument name"
    yield "SET-TEMP", exposure.temperature, "[degC] CCD temperature setpoint"
    yield "CCD-TEMP", exposure.temperature + 0.1, "[degC] CCD temperature"
    yield "READOUTM", "Photographic DSO 16BIT", "Sensor readout mode"
    yield "TELESCOP", train.telescope, "Name of telescope"
    yield "FOCALLEN", train.focal_length, "[mm] Focal length"
    yield "FOCRATIO", round(train.focal_length / train.aperture, 1), "Focal ratio"
    if exposure.pointing:
        yield from _nina_telescope(exposure, exposure.pointing)
    yield "SITEELEV", sky.ELEVATION, "[m] Observation site elevation"
    yield "SITELAT", sky.LATITUDE, "[deg] Observation site latitude"
    yield "SITELONG", sky.LONGITUDE, "[deg] Observation site longitude"
    if exposure.filter:
        yield "FWHEEL", "QHYCFW", "Filter Wheel name"
        yield "FILTER", exposure.filter.name, "Active filter name"
    if exposure.pointing:
        yield "OBJECT", exposure.pointing.target, "Name of the object of interest"
        yield "OBJCTRA", sexagesimal(exposure.pointing.nominal[0] / 15), "[H M S] RA of imaged object"
        yield (
            "OBJCTDEC",
            sexagesimal(exposure.pointing.nominal[1], "+"),
            "[D M S] Declination of imaged object",
        )
    yield from _nina_weather(exposure.start)
    yield "ROWORDER", "TOP-DOWN", "FITS Image Orientation"
    yield "EQUINOX", 2000.0, "Equinox of celestial coordinate system"
    yield "SWCREATE", "N.I.N.A. 3.2.0.9001 (x64)", "Software that created this file"


def _nina_telescope(exposure: Exposure, pointing: Pointing) -> Iterable[Entry]:
    ra, dec = pointing.nominal
    place = sky.place(ra, dec, exposure.start)
    yield "RA", ra, "[deg] RA of telescope"
    yield "DEC", dec, "[deg] Declination of telescope"
    yield "CENTALT", round(place.altitude, 4), "[deg] Altitude of telescope"
    yield "CENTAZ", round(place.azimuth, 4), "[deg] Azimuth of telescope"
    yield "AIRMASS", round(place.airmass, 6), "Airmass at frame center (Gueymard 1993)"


def _nina_weather(time: datetime) -> Iterable[Entry]:
    weather = sky.weather(time)
    yield "DEWPOINT", weather.dew_point, "[degC] Dew point"
    yield "HUMIDITY", weather.humidity, "[percent] Relative humidity"
    yield "PRESSURE", weather.pressure, "[hPa] Air pressure"
    yield "AMBTEMP", weather.temperature, "[degC] Ambient air temperature"
    yield "WINDDIR", weather.wind_direction, "[deg] Wind direction: 0=N, 180=S, 90=E, 270=W"
    yield "WINDSPD", round(weather.wind_speed * 3.6, 3), "[kph] Wind speed"


def _sharpcap_entries(exposure: Exposure) -> Iterable[Entry]:
    train, pointing = exposure.train, exposure.pointing
    end = exposure.start + timedelta(seconds=exposure.seconds)
    yield "BZERO", 32768, ""
    yield "BSCALE", 1, ""
    yield "EXTEND", True, "Extensions are permitted"
    yield "FOCALLEN", train.focal_length, ""
    if pointing:
        yield "OBJECT", pointing.target, ""
        yield "RA", pointing.nominal[0], "Epoch : J2000"
        yield "DEC", pointing.nominal[1], "Epoch : J2000"
    if exposure.filter:
        yield "FILTER", exposure.filter.name, ""
    yield "ROWORDER", "TOP-DOWN", ""
    yield "EXPTIME", exposure.seconds, "seconds"
    yield "XPIXSZ", train.pixel, "microns, includes binning if any"
    yield "YPIXSZ", train.pixel, "microns, includes binning if any"
    yield "XBINNING", train.binning, ""
    yield "YBINNING", train.binning, ""
    yield "CCD-TEMP", exposure.temperature, "C"
    yield "GAIN", 120, ""
    yield "BLKLEVEL", 10, ""
    yield "SWCREATE", "SharpCap v4.1.12946.0, 64 bit", ""
    yield "DATE-OBS", _ticks(exposure.start), "System Clock:Est. Frame Start"
    yield "DATE-END", _ticks(end), "System Clock:Est. Frame End"
    yield "DATE-AVG", _ticks(_middle(exposure)), "System Clock:Est. Frame Mid Point"
    yield "JD_UTC", sky.julian_date(_middle(exposure)), "Julian Date at mid exposure"
    yield "RDNOISE", train.camera.read_noise, "Read noise in electrons"
    yield "COLORTYP", "MONO", ""
    yield "INSTRUME", train.camera.name, ""
