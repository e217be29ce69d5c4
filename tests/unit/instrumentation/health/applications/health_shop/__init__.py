"""Applications with health endpoints, and what they depend on."""
