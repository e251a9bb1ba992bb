"""Who is let in to a served page, as whom, and how much they may ask for."""
