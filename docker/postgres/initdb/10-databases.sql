-- Run once, by the user POSTGRES_USER, when the volume is empty. The FastAPI service has the database that
-- POSTGRES_DB made; the Django service has its own, so that neither sees the other's tables.
CREATE DATABASE django;
