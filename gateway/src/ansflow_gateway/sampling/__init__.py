"""Reading the host by psutil, in one thread of its own."""
