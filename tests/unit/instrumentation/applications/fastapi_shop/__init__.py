"""A FastAPI application as users write them."""
