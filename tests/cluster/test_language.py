"""What the query language says of itself, and what it keeps on the webserver."""

import pytest


@pytest.fixture(scope="module")
def session(cluster):
    return cluster.webserver(0).login()


def test_the_language_describes_itself(session):
    """Modules with their flags, renderers, functions: what an editor completes."""
    told = session.get("/api/query/language").ok().json()
    modules = {module["Name"]: module for module in told["Modules"]}
    assert {"grep", "json", "top", "slice", "stats"} <= set(modules)
    assert {flag["Name"]: flag["TakesValue"] for flag in modules["base64"]["Flags"]} == {
        "d": False, "raw": False, "u": False, "s": False, "t": True}
    assert modules["stats"]["Condensing"] and not modules["grep"]["Condensing"]
    assert {"text", "table", "chart"} <= {one["Name"] for one in told["Renderers"]}
    assert {"Name": "strings_trim", "ArgsMin": 2, "ArgsMax": 2} in told["Functions"]
