"""Recipes, the plans they make, the strength that a budget of nats comes to, and edits of the weights."""
