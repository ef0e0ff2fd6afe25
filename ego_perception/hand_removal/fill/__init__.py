"""The compact fill network: paints what nobody saw, and decides how far to trust what was seen earlier."""
