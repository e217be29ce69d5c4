"""Every framework version over every server: each request is recorded once, and nothing is lost."""
