"""The Steer panel: replies with and without recipes, side by side."""
