"""What is said of SQL statements, without a database."""

import pytest
from ansflow_instrumentation.database.statements import MAX_TEXT, describe


@pytest.mark.parametrize(
    ("statement", "operation", "summary"),
    [
        ("SELECT * FROM things WHERE name = 'x'", "SELECT", "SELECT things"),
        ("/* a comment */ select 1 -- another", "SELECT", "SELECT"),
        ('SELECT "shop"."Things"."id" FROM "shop"."Things"', "SELECT", "SELECT shop.Things"),
        ("SELECT a.x FROM a JOIN b ON a.id = b.id, c AS d WHERE x IN (1, 2)", "SELECT", "SELECT a b c"),
        ("SELECT * FROM a WHERE x = (SELECT max(x) FROM b)", "SELECT", "SELECT a SELECT b"),
        ("(SELECT 1 FROM a) UNION (SELECT 2 FROM b)", "SELECT", "SELECT a SELECT b"),
        ("SELECT extract(year FROM day) FROM a WHERE x IS DISTINCT FROM y", "SELECT", "SELECT a"),
        ("SELECT * FROM a FOR UPDATE", "SELECT", "SELECT a"),
        ("WITH new AS (SELECT * FROM a) SELECT * FROM new JOIN b USING (id)", "SELECT", "SELECT a SELECT b"),
        (
            "WITH old AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM old",
            "INSERT",
            "DELETE a INSERT b SELECT",
        ),
        ("INSERT INTO a (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET x = 2", "INSERT", "INSERT a"),
        ("INSERT INTO a SELECT * FROM b", "INSERT", "INSERT a SELECT b"),
        ("UPDATE a SET x = 1 FROM b WHERE a.id = b.id", "UPDATE", "UPDATE a b"),
        ("DELETE FROM a WHERE x = 1", "DELETE", "DELETE a"),
        ("MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN UPDATE SET y = 1", "MERGE", "MERGE a"),
        ("CREATE TABLE IF NOT EXISTS a (id INTEGER)", "CREATE", "CREATE TABLE a"),
        ("CREATE UNIQUE INDEX a_x ON a (x)", "CREATE", "CREATE INDEX a_x"),
        ("EXPLAIN ANALYZE SELECT * FROM a", "EXPLAIN", "EXPLAIN SELECT a"),
        ("SAVEPOINT sa_savepoint_17", "SAVEPOINT", "SAVEPOINT"),
        ("FETCH FORWARD 10 FROM cursor_17", "FETCH", "FETCH"),
        ("SELECT 1; DELETE FROM a", "SELECT", "SELECT DELETE a"),
        ("gibberish of somebody", "_OTHER", "_OTHER"),
        ("SELECT * FROM", "SELECT", "SELECT"),
        (") ) , . ( FROM", "_OTHER", "_OTHER"),
    ],
)
def test_a_statement_is_named_after_its_verbs_and_tables(
    statement: str, operation: str, summary: str
) -> None:
    """The name has no values, aliases, common tables or names that are made up for each use."""
    described = describe(statement)
    assert (described.single.operation, described.single.text) == (operation, summary)
    assert described.batch.operation == f"BATCH {operation}"
    assert described.batch.text == f"BATCH {summary}"


@pytest.mark.parametrize(
    ("statement", "sanitised"),
    [
        ("SELECT 'secret', 'it''s secret' FROM a", "SELECT ?, ? FROM a"),
        ("SELECT 1, 1.5, .5, 1e-5, 0x1F, -7 FROM a1", "SELECT ?, ?, ?, ?, ?, -? FROM a1"),
        (r"SELECT E'it\'s secret', b'101' FROM a", "SELECT ?, ? FROM a"),
        (r"SELECT 'C:\', 'secret' FROM a", "SELECT ?, ? FROM a"),
        ("SELECT $$secret 'x'$$, $t$ secret $$ $t$ FROM a", "SELECT ?, ? FROM a"),
        ("SELECT 'secret that is not closed FROM a", "SELECT ?"),
        ("SELECT 1 /* secret */ FROM a -- secret", "SELECT ? FROM a"),
        ('SELECT "a 1" FROM a', 'SELECT "a 1" FROM a'),
        (
            'SELECT "t"."x" FROM "t" JOIN "u" ON "t"."id" = "u"."id" WHERE "x"="secret" OR "y" LIKE "secret"',
            'SELECT "t"."x" FROM "t" JOIN "u" ON "t"."id" = "u"."id" WHERE "x"=? OR "y" LIKE ?',
        ),
        (
            'INSERT INTO "t" ("a", "b") VALUES (?, "secret"), (lower("secret"), "it""s secret")',
            'INSERT INTO "t" ("a", "b") VALUES (?, ?), (lower(?), ?)',
        ),
        (
            'DELETE FROM "t" WHERE "a" IN ("secret", "secret") AND "b" IN (SELECT "c", "d" FROM "u")',
            'DELETE FROM "t" WHERE "a" IN (?) AND "b" IN (SELECT "c", "d" FROM "u")',
        ),
        ("SELECT q'[it's secret]', nq'!it's secret!', Q'{secret' FROM a", "SELECT ?, ?, ?"),
        (
            "SELECT a::int FROM a WHERE x = $1 AND y = %s AND z = %(select)s AND w = :from AND v = ?",
            "SELECT a::int FROM a WHERE x = $1 AND y = %s AND z = %(select)s AND w = :from AND v = ?",
        ),
        (
            "SELECT * FROM a WHERE x IN (1, 2, 3) OR y in ($1, $2)",
            "SELECT * FROM a WHERE x IN (?) OR y in (?)",
        ),
        ("SELECT * FROM a WHERE x IN ($1::INTEGER, $2::INTEGER)", "SELECT * FROM a WHERE x IN (?)"),
        ("INSERT INTO a VALUES (1, 'x'), (2, 'y'), (3, 'z')", "INSERT INTO a VALUES (?, ?), …"),
        ("INSERT INTO a VALUES ($1), ($2) RETURNING x", "INSERT INTO a VALUES ($1), … RETURNING x"),
        ("SELECT\n  1\n  FROM a;", "SELECT ? FROM a"),
        (";", ""),
    ],
)
def test_no_literal_is_left_in_the_text(statement: str, sanitised: str) -> None:
    """Every kind of literal becomes a question mark; placeholders and quoted names stay."""
    assert describe(statement).text == sanitised


@pytest.mark.parametrize(
    ("statement", "sanitised"),
    [
        ('SELECT "secret", "it\\"s secret", "a ""secret""" FROM `a`', "SELECT ?, ?, ? FROM `a`"),
        (r"SELECT 'it\'s secret' FROM a # secret", "SELECT ? FROM a"),
    ],
)
def test_mysql_quotes_strings_its_own_way(statement: str, sanitised: str) -> None:
    """In MySQL, double quotes hold strings, and a backslash escapes."""
    assert describe(statement, mysql=True).text == sanitised
    assert "secret" in describe(statement).text, "elsewhere, they hold names"


def test_a_long_statement_is_cut_off_before_it_is_looked_at() -> None:
    """The cut shows no half of a literal, and a summary keeps to whole words."""
    literal = "'" + "secret" * MAX_TEXT + "'"
    described = describe(f"SELECT * FROM a WHERE x = {literal}")  # noqa: S608 # is not run
    assert described.text == "SELECT * FROM a WHERE x = ?…"
    tables = [f"table_number_{number}" for number in range(100)]
    summary = describe(f"SELECT * FROM {', '.join(tables)}").single.text  # noqa: S608 # likewise
    assert len(summary) <= 255
    assert summary.split() == ["SELECT", *tables][: len(summary.split())]
