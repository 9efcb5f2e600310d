"""ost_vo: the Virtual Observatory archive server of the OST observatory."""

__version__ = "0.1.0"
