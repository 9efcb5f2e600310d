"""Synthetic products: what was observed, by whom and with what, and its rows as the text that COPY reads."""
