"""The application in the browser: a server on this machine, its queue, and the process that predicts."""
