"""The documents hold together: links resolve, what is generated is current, named tests exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import mgdn_edge

PAGES = ("*.md", "docs/*.md", ".github/**/*.md")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
PAPERS = {
    "MGDN": "Mutual-Guided Dynamic Network for Image Fusion",
    "CADNIF": "Cross Attention-guided Dense Network for Images Fusion",
    "LKC-FUNet": (
        "Rethinking Normalization Strategies and Convolutional Kernels for Multimodal Image Fusion"
    ),
    "TTD": "Test-Time Dynamic Image Fusion",
}


def pages(repository: Path) -> list[Path]:
    return sorted(path for pattern in PAGES for path in repository.glob(pattern))


def prose(page: Path) -> str:
    """A page's text without its code blocks."""
    return FENCED.sub("", page.read_text())


def anchor(heading: str) -> str:
    """The name a heading gets on GitHub: lower case, blanks to dashes, other signs left out."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(text) for text in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def test_links_resolve(repository: Path) -> None:
    found = 0
    for page in pages(repository):
        for target in LINK.findall(prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, place = unquote(target).partition("#")
            path = (page.parent / name).resolve() if name else page
            assert path.exists(), f"{page.name}: {target}"
            assert path.is_relative_to(repository), f"{page.name}: {target}"
            assert not place or place in anchors(path), f"{page.name}: {target}"
            found += 1
    assert found > 40


def test_every_page_is_linked_from_the_readme(repository: Path) -> None:
    linked = {(repository / link.partition("#")[0]).resolve()
              for link in LINK.findall((repository / "README.md").read_text())}  # fmt: skip
    unlinked = {page.name for page in (repository / "docs").glob("*.md") if page not in linked}
    assert unlinked == set()


def test_the_readme_is_short(repository: Path) -> None:
    assert len((repository / "README.md").read_text().splitlines()) <= 140


def test_named_tests_exist(repository: Path) -> None:
    found = 0
    for page in pages(repository):
        for file, name in TEST.findall(page.read_text()):
            assert (repository / file).is_file(), f"{page.name}: {file}"
            text = (repository / file).read_text()
            assert not name or f"\ndef {name}(" in text, f"{page.name}: {file} {name}"
            found += bool(name)
    assert found >= 15


def test_every_promise_of_security_names_its_test(repository: Path) -> None:
    page = (repository / "SECURITY.md").read_text()
    rows = re.findall(r"^\| (?!promise|---)(.+) \|$", page, re.MULTILINE)
    assert len(rows) >= 15
    assert all(TEST.search(row) and "::" in row for row in rows)


def generate(repository: Path, *words: object) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(repository / "docs" / "generate.py"), *map(str, words)]
    return subprocess.run(script, capture_output=True, text=True, check=False)


@pytest.mark.pinned
def test_generated_pages_are_current(repository: Path) -> None:
    done = generate(repository, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.pinned
def test_a_page_that_is_not_current_is_named(repository: Path, tmp_path: Path) -> None:
    for name in ("CLI.md", "API.md"):
        shutil.copy(repository / "docs" / name, tmp_path)
    with (tmp_path / "API.md").open("a") as page:
        page.write("more\n")
    done = generate(repository, "--check", tmp_path)
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path / 'API.md'} is not current; run: make docs\n"


def test_every_command_and_every_name_is_in_the_references(repository: Path) -> None:
    cli, api = ((repository / "docs" / name).read_text() for name in ("CLI.md", "API.md"))
    assert len(re.findall(r"^#+ `mgdn [a-z ]+`$", cli, re.MULTILINE)) > 20
    for name in mgdn_edge.__all__:
        assert f"\n### {name}\n" in api


def test_the_citation_is_of_this_version_and_of_the_four_papers(repository: Path) -> None:
    text = (repository / "CITATION.cff").read_text()
    assert f"\nversion: {mgdn_edge.__version__}\n" in text
    for name, title in PAPERS.items():
        _, _, after = text.partition(f"title: {title}\n")
        assert re.search(r"arXiv:\d{4}\.\d{5}", after) and f"notes: {name}." in after


def test_the_changelog_has_this_version(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text()
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert f"\n## [{mgdn_edge.__version__}] - 2" in text and "\n## [Unreleased]\n" in text


def test_issue_templates_ask_for_the_doctor(repository: Path) -> None:
    templates = sorted((repository / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [path.stem for path in templates] == ["board", "bug", "camera"]
    assert all("label: mgdn doctor --json\n" in path.read_text() for path in templates)


def test_ci_is_one_script(repository: Path) -> None:
    text = (repository / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r"^ +- run: (\.ci/run)$", text, re.MULTILINE) == [".ci/run"]
    assert (repository / ".ci" / "run").stat().st_mode & 0o111
