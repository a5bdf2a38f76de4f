"""Options and rules that hold for every test."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failed test")


@pytest.fixture(scope="session")
def update_golden(request):
    """Whether this run rewrites the golden files (`make golden`)."""
    return request.config.getoption("--update-golden")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    return fail_if_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return fail_if_skipped((yield), collector.config)


def fail_if_skipped(report, config):
    """With --no-skips nothing is left out unseen: the reason of the skip becomes the failure."""
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and not expected_to_fail and config.getoption("--no-skips"):
        report.outcome = "failed"
        path, line, reason = report.longrepr
        report.longrepr = f"{path}:{line}: skipped, which `make test` does not allow: {reason}"
    return report


TOLD = "told"
"""The property by which a test says what it did, for the end of the run: `record_property(TOLD, "…")`."""


def pytest_terminal_summary(terminalreporter):
    """What tests that ran long did, also where they ran in another process."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, [])]
    for report in reports:
        for name, text in report.user_properties:
            if name == TOLD and report.when == "call":
                terminalreporter.write_line(text)


def pytest_collection_modifyitems(items):
    """The test that takes all of `SECONDS` begins first, beside which the others run."""
    items.sort(key=lambda item: "lasting" not in item.keywords)
