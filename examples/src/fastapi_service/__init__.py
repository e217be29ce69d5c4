"""The pipeline service: projects, pipelines, runs and integrations of the CI/CD platform (FastAPI)."""

__version__ = "1.0.0"
