"""One loaded model: its host, blocks, sites and chat template, and messages as its tokens."""
