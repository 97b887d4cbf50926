"""The docs say what the code says: the reference is current, examples of product files are valid, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tradewind.product import Product

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_reference_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="utf-8") == module.reference(), "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_in_the_docs_is_a_valid_part_of_a_product_file(page):
    base = {"product": "docs", "task": "classification", "data": {"source": "a.csv", "target": "y"}}
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        found = YAML(typ="safe").load(block)
        Product.model_validate({**base, **found})


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples").glob("*/tradewind.yaml")), ids=lambda file: file.parent.name
)
def test_examples_are_valid_product_files(file):
    Product.model_validate(YAML(typ="safe").load(file.read_text(encoding="utf-8")))


def test_methods_name_files_that_exist():
    table = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for place in re.findall(r"`([\w/]+\.py)`", table):
        assert (ROOT / "src" / "tradewind" / place).exists(), place
