"""URI -> frames: files, cameras, and the clocks they are stamped by."""
