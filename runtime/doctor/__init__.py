"""What is installed on this machine, what is missing, what to type."""
