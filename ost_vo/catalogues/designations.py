"""Designations of stars by constellation: Bayer's letters, Flamsteed's numbers, variable stars."""

from __future__ import annotations

import re

_GREEK = {
    "alf": ("alpha", "alp", "α"),
    "bet": ("beta", "β"),
    "gam": ("gamma", "γ"),
    "del": ("delta", "δ"),
    "eps": ("epsilon", "ε"),
    "zet": ("zeta", "ζ"),
    "eta": ("η",),
    "tet": ("theta", "the", "θ"),
    "iot": ("iota", "ι"),
    "kap": ("kappa", "κ"),
    "lam": ("lambda", "λ"),
    "mu": ("μ",),
    "nu": ("ν",),
    "ksi": ("xi", "ξ"),
    "omi": ("omicron", "ο"),
    "pi": ("π",),
    "rho": ("ρ",),
    "sig": ("sigma", "σ"),
    "tau": ("τ",),
    "ups": ("upsilon", "υ"),
    "phi": ("φ",),
    "chi": ("χ",),
    "psi": ("ψ",),
    "ome": ("omega", "ω"),
}
# Abbreviation (IAU) and genitive.
_GENITIVES = {
    "and": "andromedae",
    "ant": "antliae",
    "aps": "apodis",
    "aqr": "aquarii",
    "aql": "aquilae",
    "ara": "arae",
    "ari": "arietis",
    "aur": "aurigae",
    "boo": "bootis",
    "cae": "caeli",
    "cam": "camelopardalis",
    "cnc": "cancri",
    "cvn": "canum venaticorum",
    "cma": "canis majoris",
    "cmi": "canis minoris",
    "cap": "capricorni",
    "car": "carinae",
    "cas": "cassiopeiae",
    "cen": "centauri",
    "cep": "cephei",
    "cet": "ceti",
    "cha": "chamaeleontis",
    "cir": "circini",
    "col": "columbae",
    "com": "comae berenices",
    "cra": "coronae australis",
    "crb": "coronae borealis",
    "crv": "corvi",
    "crt": "crateris",
    "cru": "crucis",
    "cyg": "cygni",
    "del": "delphini",
    "dor": "doradus",
    "dra": "draconis",
    "equ": "equulei",
    "eri": "eridani",
    "for": "fornacis",
    "gem": "geminorum",
    "gru": "gruis",
    "her": "herculis",
    "hor": "horologii",
    "hya": "hydrae",
    "hyi": "hydri",
    "ind": "indi",
    "lac": "lacertae",
    "leo": "leonis",
    "lmi": "leonis minoris",
    "lep": "leporis",
    "lib": "librae",
    "lup": "lupi",
    "lyn": "lyncis",
    "lyr": "lyrae",
    "men": "mensae",
    "mic": "microscopii",
    "mon": "monocerotis",
    "mus": "muscae",
    "nor": "normae",
    "oct": "octantis",
    "oph": "ophiuchi",
    "ori": "orionis",
    "pav": "pavonis",
    "peg": "pegasi",
    "per": "persei",
    "phe": "phoenicis",
    "pic": "pictoris",
    "psc": "piscium",
    "psa": "piscis austrini",
    "pup": "puppis",
    "pyx": "pyxidis",
    "ret": "reticuli",
    "sge": "sagittae",
    "sgr": "sagittarii",
    "sco": "scorpii",
    "scl": "sculptoris",
    "sct": "scuti",
    "ser": "serpentis",
    "sex": "sextantis",
    "tau": "tauri",
    "tel": "telescopii",
    "tri": "trianguli",
    "tra": "trianguli australis",
    "tuc": "tucanae",
    "uma": "ursae majoris",
    "umi": "ursae minoris",
    "vel": "velorum",
    "vir": "virginis",
    "vol": "volantis",
    "vul": "vulpeculae",
}
_LETTERS = {spelling: letter for letter, spellings in _GREEK.items() for spelling in (letter, *spellings)}
_CONSTELLATIONS = {
    spelling: short
    for short, genitive in _GENITIVES.items()
    for spelling in (short, genitive.replace(" ", ""))
}
_LETTER = "|".join(sorted(_LETTERS, key=len, reverse=True))
_CONSTELLATION = "|".join(sorted(_CONSTELLATIONS, key=len, reverse=True))
_BAYER = re.compile(rf"\d{{0,3}}({_LETTER})(\d?)({_CONSTELLATION})")
_OTHER = re.compile(rf"(\d{{1,3}}|[a-z]{{1,2}}|v\d{{3,4}})({_CONSTELLATION})")
_ENDINGS = tuple(_CONSTELLATIONS)


def short(written: str) -> str:
    """Return a designation in one spelling: "alphalyrae", "3alflyr" and "αlyr" are "alflyr".

    Args:
        written: a name in lower case, without blanks and leading zeros; any other is returned as it is.
    """
    if not written.endswith(_ENDINGS):
        return written
    if match := _BAYER.fullmatch(written):
        return _LETTERS[match[1]] + match[2] + _CONSTELLATIONS[match[3]]
    if match := _OTHER.fullmatch(written):
        return match[1] + _CONSTELLATIONS[match[2]]
    return written
