"""The published diffusion model for hand removal (VIDM, NeurIPS 2023), its importers, and the ways to run it fast."""
