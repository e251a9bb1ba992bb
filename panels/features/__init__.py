"""The Features panel: sparse dictionaries, their health, features found by any way, and what runs through them."""
