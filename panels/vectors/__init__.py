"""The Vectors panel: contrast sets to steering vectors."""
