"""A steering vector, its files, units and card, and what it says of a text's tokens."""
