"""A probing template."""

SHOUT = {"says": "statement in a shout", "text": "REALLY? {statement} REALLY!{answer}", "answers": [" Yes", " No"]}
