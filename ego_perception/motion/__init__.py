"""Procedural human motion: task scripts become body states with planted feet; knows neither rooms nor rendering."""
