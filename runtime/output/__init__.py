"""Where fused frames go: video, images, RTSP, and the infrared counts beside them."""
