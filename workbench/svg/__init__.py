"""Figures as SVG without a browser."""
