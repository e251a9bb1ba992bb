"""One forward pass, and what is built of passes: replies, readings, states of many prompts."""
