"""The Grid panel: replies over prompts and recipes."""
