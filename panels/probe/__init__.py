"""The Probe panel: contrast-consistent search and what it is held against."""
