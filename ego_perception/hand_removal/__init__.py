"""VIDM's task: images without the wearer's hands, with a statement of what each pixel is, causal and live."""
