"""Images, folders of images and videos."""
