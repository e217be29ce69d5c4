"""The compose file's checks: the real file passes, and each broken one gets exactly its own message."""

import re
from pathlib import Path

import pytest
from ansflow_stack.checks.compose_check import ComposeError, check
from ansflow_stack.checks.compose_check.__main__ import main
from ansflow_stack.checks.compose_check.dockerignore import read
from ansflow_stack.checks.compose_check.interpolation import Reference, interpolate, parse, references
from click.testing import CliRunner

INVALID = Path(__file__).parent / "invalid_compose"
CASES = sorted(INVALID.rglob("*.yaml"))


def _expected(file: Path) -> list[str]:
    """Return the comment lines that a broken file begins with: what is to be said of it."""
    lines = file.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("# "))
    return [line.removeprefix("# ") for line in lines[:first]]


@pytest.mark.parametrize("file", CASES, ids=lambda file: str(file.relative_to(INVALID)))
def test_a_broken_file_gets_exactly_its_messages(file: Path) -> None:
    """Each file breaks one rule, says which in its first lines, and nothing else is found in it."""
    expected = _expected(file)
    assert expected
    if expected[0].startswith("ERROR: "):
        with pytest.raises(ComposeError, match=re.escape(expected[0].removeprefix("ERROR: "))):
            check(file, file.parent)
        return
    assert [str(problem) for problem in check(file, file.parent)] == expected


def test_there_are_broken_files() -> None:
    """The folder of broken files is found: without them the test above would pass on nothing."""
    assert len(CASES) > 40


def test_the_real_file_is_valid(root: Path) -> None:
    """docker/compose.yaml breaks no rule."""
    assert check(root / "docker" / "compose.yaml", root) == []


def test_the_command_line_prints_a_line_a_problem(root: Path) -> None:
    """Exit status 0 for a valid file, 1 with a line for each problem, 2 for what can't be checked."""
    runner = CliRunner()
    good = runner.invoke(main, [str(root / "docker" / "compose.yaml")])
    assert (good.exit_code, good.stdout) == (0, f"{root / 'docker' / 'compose.yaml'}: valid\n")
    file = INVALID / "port-on-an-address.yaml"
    bad = runner.invoke(main, [str(file), "--root", str(INVALID)])
    assert bad.exit_code == 1
    assert bad.stderr.splitlines() == [f"{file}: {line}" for line in _expected(file)]
    unusable = runner.invoke(main, [str(INVALID / "no-mapping.yaml")])
    assert unusable.exit_code == 2
    assert unusable.stderr == f"{INVALID / 'no-mapping.yaml'}: expected a mapping, got list\n"


def test_example_secrets_are_obviously_fake(root: Path) -> None:
    """Whoever forgets to change one reads in it that it was to be changed."""
    lines = (root / "docker" / ".env.example").read_text().splitlines()
    secrets = dict(line.split("=") for line in lines if re.match(r"[A-Z_]+=", line))
    assert set(secrets) == {
        "ANSFLOW_GATEWAY_TOKEN",
        "GRAFANA_ADMIN_PASSWORD",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    }
    assert all("change" in value for value in secrets.values())


@pytest.mark.parametrize(
    ("text", "variables", "result"),
    [
        ("plain", {}, "plain"),
        ("$$HOME costs 5$$", {}, "$HOME costs 5$"),
        ("$A-${A}", {"A": "x"}, "x-x"),
        ("${A}", {}, ""),
        ("${A:-b}", {"A": ""}, "b"),
        ("${A-b}", {"A": ""}, ""),
        ("${A-b}", {}, "b"),
        ("${A:-${B:-c}}", {}, "c"),
        ("${A:-${B:-c}}", {"B": "b"}, "b"),
        ("${A:?say why}", {"A": "x"}, "x"),
        ("${A:+set}", {"A": "x"}, "set"),
        ("${A:+set}", {"A": ""}, ""),
        ("${A+set}", {"A": ""}, "set"),
    ],
)
def test_interpolation_follows_the_specification(text: str, variables: dict[str, str], result: str) -> None:
    """Defaults, alternatives and escapes give what compose gives."""
    assert interpolate(text, variables) == result


def test_references_are_found_in_operands_too() -> None:
    """A default's own variables count, an error message's text doesn't."""
    assert list(references("${A:-${B}} ${C:?set $ first}")) == [
        Reference("A", ":-", "${B}"),
        Reference("B"),
        Reference("C", ":?", "set $ first"),
    ]
    assert parse("a$$b") == ["a", "$", "b"]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("secret.txt", True),
        ("app/main.py", False),
        ("app/deep/er/main.py", False),
        ("app/__pycache__/main.pyc", True),
        ("app/deep/__pycache__/main.pyc", True),
        ("docs/a.md", False),
        ("docs/b.md", True),
        ("docs/sub/a.md", True),
    ],
)
def test_dockerignore_decides_by_the_last_match(path: str, hidden: bool, tmp_path: Path) -> None:
    """A directory's pattern holds for all below it, and a later one brings files back."""
    (tmp_path / ".dockerignore").write_text("# all\n*\n!app/\n!docs/?.md\n/docs/b.*\n**/__pycache__\n")
    assert read(tmp_path).hides(path) is hidden


def test_without_a_dockerignore_nothing_is_hidden(tmp_path: Path) -> None:
    """The file is optional."""
    assert not read(tmp_path).hides("anything")
