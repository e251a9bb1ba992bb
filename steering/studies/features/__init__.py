"""Sparse dictionaries at work: their health, finding features, and what features cause."""
