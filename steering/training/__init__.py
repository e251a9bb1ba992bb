"""Steering vectors that are trained: losses on preference data, one direction, the model frozen."""
