"""The nodes: each a thin translation between ROS topics and a pipeline. Their parameters are in `config`."""
