"""Controls that several panels share: recipe, prompt, tokens, decoding, files."""
