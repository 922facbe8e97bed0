from sampling import choose


def pytest_configure(config):
    config.addinivalue_line("markers", "long(keep)")
    config.addinivalue_line("markers", "smoke")


def pytest_collection_modifyitems(items):
    items[:] = choose(items, "own")
