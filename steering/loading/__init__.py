"""From a name to weights and a tokenizer: every way it can fail, explained before memory is taken."""
