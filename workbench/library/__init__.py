"""What a workspace keeps beside its runs: notes on vectors, uploads, saved recipes, and what was removed of them."""
