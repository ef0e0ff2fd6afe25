"""The parametric body: skeleton, state, skinned mesh in SMPL's format (ours or an official file), hands and humanoid."""
