"""A search that was launched, as its owner handles it."""

from client import wait_until

ENDS_WITHIN_S = 60


def path_of(launched):
    return f"/api/searchctrl/{launched['SearchID']}"


def stats_of(session, launched):
    return session.get(path_of(launched) + "/stats", sid=launched["SearchSessionID"],
                       count=1).ok().json()


def finished(session, launched):
    """Waits for the end; returns the last overview."""
    def over():
        stats = stats_of(session, launched)
        return stats if stats["Finished"] else None
    return wait_until(over, ENDS_WITHIN_S, "the end of the search")


def detach(session, launched):
    session.put(f"{path_of(launched)}/detach?sid={launched['SearchSessionID']}").ok()
