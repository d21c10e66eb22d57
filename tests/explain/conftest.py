"""The marker `families`, and its tests that run only with --all-families."""


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "families: a network family outside the sample; runs with --all-families")


def pytest_collection_modifyitems(config, items) -> None:
    """Deselect the families outside the sample unless all are asked for."""
    if config.getoption("--all-families"):
        return
    left_out = [item for item in items if item.get_closest_marker("families")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("families")]
