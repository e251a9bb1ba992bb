"""The Train panel: vectors that are trained on preferences, by several losses side by side at equal KL."""
