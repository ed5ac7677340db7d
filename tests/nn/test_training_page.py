"""What the page on training shows is true of today's code: its examples run in order and print what it says."""

from tests.pages import run_page


def test_the_examples_of_the_page_run_and_print_what_it_says():
    run_page("how-to/training.md")
