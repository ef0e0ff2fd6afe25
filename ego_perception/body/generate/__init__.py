"""Makes the body that ships with the package: capsules, meshed, skinned and given ten shape directions."""
