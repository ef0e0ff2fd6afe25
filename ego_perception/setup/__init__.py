"""What `./ego` does before its first verb: system packages, the virtual environment, and the ROS interfaces inside it.

Runs under the system's own Python 3.11 with the standard library alone, because nothing else is there yet. Each step leaves a
stamp, so that a finished step is not repeated and an interrupted one starts again.
"""
