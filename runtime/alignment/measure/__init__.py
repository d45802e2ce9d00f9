"""How two cameras lie to each other, measured: scene, points, clicks, targets."""
