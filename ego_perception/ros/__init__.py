"""The ROS border: parameters, QoS, lifecycle, TF, diagnostics, message classes. Only it and `nodes` import rclpy."""
