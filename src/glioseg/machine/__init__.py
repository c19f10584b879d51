"""What the program runs on: device and number format, versions, memory."""
