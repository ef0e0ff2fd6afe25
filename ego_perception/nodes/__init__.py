"""The nodes: each a thin translation between ROS topics and a pipeline. Their parameters are in `config`."""

from ego_perception.environment import set_defaults

set_defaults()  # before a node imports NumPy, MuJoCo or rclpy, which read their variables once
