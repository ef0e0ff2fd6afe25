"""Network blocks shared by the tasks; torch only."""

from ego_perception.nn.blocks import ConvNorm, Residual, UpsampleMerge, num_parameters

__all__ = ["ConvNorm", "Residual", "UpsampleMerge", "num_parameters"]
