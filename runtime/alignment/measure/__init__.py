"""How infrared lies on visible, measured: scene, points, clicks, targets."""
