"""Fine-tuning of the diffusion model: which windows of video, what holes, which loss."""
