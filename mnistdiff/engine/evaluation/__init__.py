"""Evaluation of models: reference classifiers, Fréchet distance, PRDC, CAS, memorization check, and the report."""
