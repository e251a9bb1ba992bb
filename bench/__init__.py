"""Speed, as ratios against something measured in the same run: `python -m bench` (see README.md beside this file)."""
