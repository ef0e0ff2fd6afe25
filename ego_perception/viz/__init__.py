"""Looking at results: coloured pictures, plots, the stand-alone report and the web viewer. Knows no ROS."""
