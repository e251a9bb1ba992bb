"""Figures: what they have in common, what is drawn of them as plain data, and as SVG without a browser."""
