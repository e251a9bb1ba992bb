"""Sparse dictionaries: reading them from files, encoding and decoding states; no model is run here."""
