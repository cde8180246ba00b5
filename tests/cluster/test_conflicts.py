"""Two people edit the same dashboard: nobody's work is overwritten unseen, and nothing is lost."""

import threading

from client import wait_until


def new_board(session, name):
    id = session.post("/api/dashboards", {"Name": name, "Data": {"tiles": []}}).ok().json()
    return session.get(f"/api/dashboards/{id}").ok().json()


def edited(board, title):
    return {**board, "Data": {"tiles": [{"title": title}]}}


def test_an_edit_of_an_older_version_is_refused_and_the_newer_one_stays(cluster):
    """409 on the same webserver and, once the change has arrived there, on the other one."""
    here, there = (cluster.webserver(i).login() for i in range(2))
    board = new_board(here, "edited twice")
    path = f"/api/dashboards/{board['ID']}"
    saved = here.put(path, edited(board, "first")).ok().json()
    assert saved["Change"] != board["Change"] and "CopiedBeside" not in saved
    assert here.put(path, edited(board, "too late")).status == 409
    wait_until(lambda: there.get(path).json().get("Change") == saved["Change"], 5, "the change")
    refused = there.put(path, edited(board, "too late"))
    assert refused.status == 409 and "changed meanwhile" in refused.json()["Error"]
    assert there.get(path).ok().json()["Data"]["tiles"] == [{"title": "first"}]
    # Whoever has read it again may; and whoever does not say what was read, as older programs.
    there.put(path, edited(saved, "on top")).ok()
    del board["Change"]
    there.put(path, edited(board, "last")).ok()
    assert there.get(path).ok().json()["Data"]["tiles"] == [{"title": "last"}]


def test_two_edits_at_the_same_moment_are_both_kept(cluster):
    """On two webservers at once: each is either refused, or there afterwards; whoever was copied
    beside is told so in the answer, or that the datastore has not had it yet."""
    here, there = (cluster.webserver(i).login() for i in range(2))
    board = new_board(here, "at once")
    path = f"/api/dashboards/{board['ID']}"
    wait_until(lambda: there.get(path).status == 200, 5, "the dashboard there")
    together = threading.Barrier(2)
    answers = {}

    def put(session, title):
        together.wait()
        answers[title] = session.put(path, edited(board, title))

    threads = [threading.Thread(target=put, args=each) for each in ((here, "a"), (there, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [title for title, answer in answers.items() if answer.status == 200]
    assert kept and all(answer.status in (200, 409) for answer in answers.values())

    def titles():
        boards = [b for b in here.get("/api/dashboards").ok().json() if "at once" in b["Name"]]
        return sorted(b["Data"]["tiles"][0]["title"] for b in boards if b["Data"]["tiles"])

    wait_until(lambda: titles() == sorted(kept), 5, f"what was kept: {kept}")
    warned = [title for title in kept if answers[title].json().get("CopiedBeside")
              or answers[title].headers.get("Aquifer-Synced") == "false"]
    assert len(warned) >= len(kept) - 1
