"""Live egocentric perception for ROS 2: scene, hands, bodies, the wearer and novel views from one head-mounted camera."""

__version__ = "0.1.0"
