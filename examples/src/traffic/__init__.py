"""Realistic traffic for the two services of the CI/CD platform."""
