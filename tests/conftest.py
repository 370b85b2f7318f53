"""What every test starts from: one thread, one seed, and the choices that most layers share."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=["fused", "reference"])
def implementation(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["post-norm", "pre-norm"])
def norm_first(request):
    return request.param


def pytest_terminal_summary(terminalreporter):
    """Print the tables whose rows tests recorded, as `record_property("table: its columns", row)`."""
    tables = {}
    for report in [report for reports in terminalreporter.stats.values() for report in reports]:
        if getattr(report, "when", "") == "call":
            for name, row in report.user_properties:
                if name.startswith("table: "):
                    tables.setdefault(name.removeprefix("table: "), []).append(row)
    for columns, rows in tables.items():
        terminalreporter.section("table")
        terminalreporter.write_line(columns)
        for row in rows:
            terminalreporter.write_line(row)
