"""Every study at the least that it takes, run once in a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steering.studies.study import Result
from workbench.workspace import Workspace


_TRAINED = {"features": 16, "active": 4, "tokens": 300, "steps": 12, "batch": 64, "silent_after": 5}
TINY: dict[str, dict[str, Any]] = {
    "extract": {"contrast": "formality", "name": "tone", "pooling": [-2, -1]},
    "methods": {"methods": ["logistic"]},
    "steer": {
        "user": "And another note, please: 'quoted', \"twice\", \\ and\nno: more.",
        "recipes": [{"interventions": [{"vector": "formality"}], "decode": {"max_new_tokens": 6, "temperature": 0.7}}],
        "turns": [{"user": "Write a note.", "replies": {"": "Hi boss.", "a": "Dear colleague."}}],
    },
    "grid": {
        "recipe": {"interventions": [{"vector": "formality"}], "decode": {"max_new_tokens": 4}},
        "x": "strength: 0, 1",
        "y": "vector: formality, sentiment",
    },
    "refusal": {
        "n_train": 4,
        "n_validation": 2,
        "n_test": 2,
        "random": 1,
        "reply_tokens": 4,
        "questions": 1,
        "arms": ["none", "ablate"],
        "last_only": True,
    },
    "tradeoff": {
        "strengths": "-1, 0, 1",
        "n": 2,
        "n_replies": 2,
        "random": 1,
        "reply_tokens": 4,
        "compare": [],
        "also": ["sums"],
        "alignment": "sentiment",
        "recipes": [{"interventions": [{"vector": "formality"}]}],
    },
    "probe": {
        "n": 10,
        "steps": 20,
        "restarts": 1,
        "folds": 2,
        "random": 5,
        "permutations": 100,
        "aqi_n": 5,
        "cause_n": 2,
        "cause_random": 1,
        "cause_strengths": "0, 0.6",
        "controls": [],
        "blocks": "2",
    },
    "pairs": {"n": 2, "reply_tokens": 48, "margin": 0.0},
    "train": {
        "losses": "dpo",
        "n": 8,
        "steps": 3,
        "batch": 2,
        "replies": 2,
        "reply_tokens": 4,
        "random": 1,
        "budget": None,
    },
    "pair_worth": {
        "n": 5,
        "n_held_out": 2,
        "steps": 1,
        "points": 2,
        "retrained": 1,
        "planted": 1,
        "sizes": "2, 4",
        "draws": 2,
    },
    "self_rewarding": {
        "n": 3,
        "rounds": 1,
        "steps": 2,
        "replies": 3,
        "reply_tokens": 16,
        "held_out_judge": "cheerful",
        "budget": None,
    },
    "axbench": {
        "n_concepts": 2,
        "n_instructions": 2,
        "factors": "1",
        "methods": ["none", "mean_difference"],
        "texts_n": 8,
        "reply_tokens": 4,
        "resamples": 100,
    },
    "overoptimisation": {
        "n_requests": 4,
        "samples": 2,
        "reply_tokens": 24,
        "resamples": 100,
        "loss": "",
    },
    "dictionary_health": {"texts_n": 4, "resamples": 100},
    "features": {
        "texts_n": 6,
        "n": 2,
        "permutations": 100,
        "prompt": "How do I bake bread for a party?",
        "vector": "formality",
        "parts": 3,
        "keep": 1,
        "also": "formality",
        "replies": 1,
        "replies_tokens": 4,
    },
    "sae": _TRAINED,
    "transcoder": _TRAINED,
    "crosscoder": {**_TRAINED, "effects": 1},
    "feature_cause": {"n_train": 8, "n_test": 2, "n_features": 2, "random_sets": 1, "reply_tokens": 4},
    "feature_attribution": {"dictionary": "demo/block-1-transcoder", "texts_n": 2, "n": 2, "others": 1},
    "feature_shift": {"texts_n": 4, "n": 3, "permutations": 100, "resamples": 100},
}
"""The least that every study takes; with vectors of the shelf where it takes any."""
FEW = 2
"""Everyday replies on which KL is read where they run, here and again."""


@dataclass(frozen=True)
class Made:
    """A workspace in which every study ran once, and what each found."""

    workspace: Workspace
    ids: dict[str, str]
    results: dict[str, Result]
