"""What a source holds -> 8-bit visible and infrared frames."""
