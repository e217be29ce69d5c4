"""Queries and connection pools of SQLAlchemy, asyncpg, psycopg, aiomysql, and queries of the Django ORM.

statements   what is said of an SQL statement: operation, summary, text without literals
summary      its short name
queries      one span and one duration point a query, and who records it where one library runs on another
spans        the CLIENT spans
pools        connections in use and idle, asked of the pools

One module a library: `sqlalchemy` (with `sqlalchemy_pools`), `asyncpg`, `psycopg` (with `psycopg_pools`),
`aiomysql`, `django_orm`.
"""
