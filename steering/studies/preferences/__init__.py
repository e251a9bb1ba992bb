"""Preferences from the model itself, and what each is worth."""
