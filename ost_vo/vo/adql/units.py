"""Units of expressions (VOUnits 1.1): what arithmetic does to them where that is plain, and conversion."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

_SIMPLE = re.compile(r"[A-Za-z]+")
_POWER = re.compile(r"\((.+)\)\*\*2|([A-Za-z]+)\*\*2")


def of_sum(left: str | None, right: str | None) -> str | None:
    """Return the unit of a sum or difference: that of both, or of the one that has any."""
    if left is None or right is None or left == right:
        return left or right
    return None


def of_product(left: str | None, right: str | None) -> str | None:
    """Return the unit of a product of two simple units; a bare number may be a conversion, so None."""
    if left and right and _SIMPLE.fullmatch(left) and _SIMPLE.fullmatch(right):
        return f"{left}**2" if left == right else f"{left}.{right}"
    return None


def of_ratio(left: str | None, right: str | None) -> str | None:
    """Return the unit of a quotient of two simple, different units."""
    if left and right and left != right and _SIMPLE.fullmatch(left) and _SIMPLE.fullmatch(right):
        return f"{left}/{right}"
    return None


def of_power(unit: str | None, exponent: object) -> str | None:
    """Return the unit of a value raised to a whole number."""
    if not unit or not isinstance(exponent, int):
        return None
    if exponent == 1:
        return unit
    return f"{unit}**{exponent}" if _SIMPLE.fullmatch(unit) else f"({unit})**{exponent}"


def of_root(unit: str | None) -> str | None:
    """Return the unit of the square root of a value in a squared unit."""
    squared = _POWER.fullmatch(unit) if unit else None
    return (squared[1] or squared[2]) if squared else None


@lru_cache(maxsize=1000)
def factor(unit: str, target: str) -> float:
    """Return by what to multiply a value in one unit to have it in another.

    Raises:
        ValueError: a unit is not a VOUnit, or the two do not convert.
    """
    return float(_parsed(unit).to(_parsed(target)))


@lru_cache(maxsize=1000)
def _parsed(unit: str):  # type: ignore[no-untyped-def]  # astropy has no types
    """Return astropy's unit; astropy takes 0.3 s to import, and few queries convert units."""
    from astropy import units

    if not unit.strip():
        raise ValueError("a unitless value cannot be converted")
    try:
        with warnings.catch_warnings():
            # VOUnits deprecates Angstrom and others, which convert all the same.
            warnings.simplefilter("ignore", units.UnitsWarning)
            return units.Unit(unit, format="vounit", parse_strict="raise")
    except (ValueError, TypeError) as error:
        raise ValueError(f"'{unit}' is not a unit of VOUnits") from error


# Speed of light [m/s] and Planck's constant [J s], exact in SI.
_LIGHT_SPEED = 299_792_458.0
_PLANCK = 6.626_070_15e-34
_SPECTRAL = ("m", "Hz", "J")


def _spectral(unit: str) -> tuple[str, float]:
    """Return which of m, Hz and J a unit converts to, and the factor."""
    for base in _SPECTRAL:
        try:
            return base, factor(unit, base)
        except ValueError as error:
            if "VOUnits" in str(error):
                raise
    raise ValueError(f"'{unit}' is no unit of wavelength, frequency or energy")


def spectral_conversion(unit: str, target: str) -> tuple[float, bool]:
    """Return (factor, inverted): target value is factor * value, or factor / value where inverted.

    Raises:
        ValueError: a unit is not one of wavelength, frequency or energy.
    """
    (base, to_base), (target_base, from_base) = _spectral(unit), _spectral(target)
    constants = {
        frozenset("m"): 1.0,
        frozenset(("m", "Hz")): _LIGHT_SPEED,
        frozenset(("m", "J")): _LIGHT_SPEED * _PLANCK,
    }
    if base == target_base:
        return to_base / from_base, False
    if "m" in (base, target_base):
        return constants[frozenset((base, target_base))] / to_base / from_base, True
    return (_PLANCK if base == "Hz" else 1 / _PLANCK) * to_base / from_base, False
