"""EgoMono4D's task: depth, camera pose and point clouds from one moving head-mounted camera, causal and live."""
