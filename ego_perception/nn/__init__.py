"""Network blocks shared by the tasks; torch only."""

from ego_perception.nn.blocks import ConvNorm, Residual, UpsampleMerge, num_parameters
from ego_perception.nn.encoder_decoder import EncoderDecoder

__all__ = ["ConvNorm", "EncoderDecoder", "Residual", "UpsampleMerge", "num_parameters"]
