"""Users, projects and settings."""
