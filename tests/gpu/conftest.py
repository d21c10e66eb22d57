"""Tests that need an NVIDIA GPU: `make test-gpu`. Elsewhere they are skipped."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    reason = "needs an NVIDIA GPU; torch finds none here"
    for item in items:
        if "tests/gpu/" in item.nodeid and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def card() -> torch.device:
    return torch.device("cuda")
