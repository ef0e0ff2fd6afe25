"""The nodes: each a thin translation between ROS topics and a pipeline. Their parameters are in `config`."""

from ego_perception.environment import keep_freed_memory, set_defaults

set_defaults()  # before a node imports NumPy, MuJoCo or rclpy, which read their variables once
keep_freed_memory()  # before a node starts threads, each of which would have memory of its own
