"""Alignment against helpfulness: what steering gains and what it costs, at every strength."""
