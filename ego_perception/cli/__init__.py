"""The `ego` command: one verb per module, imported only when it is used."""
