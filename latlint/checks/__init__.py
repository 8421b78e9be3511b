"""Findings: one module a rule."""
