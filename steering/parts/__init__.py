"""Work in parts that depend on no other: one after the other here, or several at a time by workers elsewhere."""
