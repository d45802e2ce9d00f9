"""The page to click point pairs on: in a browser, and spoken to directly."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from queue import Queue

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.alignment.apply.rig_file import read_rig
from mgdn_edge.runtime.alignment.measure.click_page import align_by_clicks
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.synthetic import open_rig

SCENE = "synthetic://day?seed=6&size=320x240&ir_size=128x96&ir_fov=44&roll=1&frames=2"
PLACES = [[20, 15], [110, 12], [115, 85], [15, 80], [60, 50], [90, 60]]


@pytest.fixture
def truth():
    rig = open_rig(SCENE)
    return rig.infrared_camera.homography_to(rig.visible_camera)


@pytest.fixture
def served(tmp_path):
    """(address, rig path, queue of the outcome) of a page being served."""
    addresses, outcome = Queue(), Queue()
    output = tmp_path / "rig.toml"

    def serve():
        try:
            outcome.put(align_by_clicks(SCENE, SCENE, output, on_ready=addresses.put))
        except UserError as error:
            outcome.put(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield addresses.get(timeout=30), output, outcome
    thread.join(0)


def post(address, body, data=None):
    data = json.dumps(body).encode() if data is None else data
    for _ in range(100):  # the listener is open before the server answers
        answer = post_once(address, data)
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError("no answer")


def post_once(address, data):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return None


def true_pairs(truth, places=PLACES):
    seen = cv2.perspectiveTransform(np.array([places], float), truth)[0]
    return np.hstack([seen, np.array(places, float)]).tolist()


def test_points_are_fitted_then_saved_and_the_server_ends(served, truth):
    address, output, outcome = served
    code, fit = post(f"{address}fit", true_pairs(truth))
    assert code == 200 and fit["error_px"] < 0.1
    assert fit["overlay"].startswith("data:image/png;base64,") and not output.exists()
    code, report = post(f"{address}save", true_pairs(truth))
    assert code == 200 and report["rig"] == str(output)
    assert outcome.get(timeout=30).evidence == len(PLACES)
    assert np.allclose(read_rig(output).homography(), truth, atol=1e-3)
    assert output.with_suffix(".png").exists()
    saved = output.with_suffix(".csv").read_text().splitlines()
    assert saved[0] == "x_vis,y_vis,x_ir,y_ir" and len(saved) == 1 + len(PLACES)


def test_wrong_requests_are_answered_and_nothing_is_written(served, truth):
    address, output, outcome = served
    assert post(f"{address}fit", true_pairs(truth)[:3])[0] == 422
    for data in (b"", b"[", b'{"a": 1}', b"[[1, 2, 3]]", b'[["a", 2, 3, 4]]', b"\xff"):
        code, text = post(f"{address}fit", None, data)
        assert code == 422 and "error" in text
    assert post(f"{address}fit", None, b" " * 200_000)[0] == 413
    other = re.sub(r"/[^/]+/$", "/guess/", address)
    assert post(f"{other}fit", true_pairs(truth))[0] == 404
    assert "127.0.0.1" in address and not output.exists() and outcome.empty()
    post(f"{address}save", true_pairs(truth))
    outcome.get(timeout=30)


@pytest.mark.browser
def test_clicking_through_the_page_writes_the_rig(served, truth, chromium):
    address, output, outcome = served
    post(f"{address}fit", [])  # the server answers
    chromium.events.clear()
    target = chromium.send("Target.createTarget", url="about:blank")["targetId"]
    session = chromium.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        chromium.send(f"{domain}.enable", session)

    def evaluate(expression):
        result = chromium.send(
            "Runtime.evaluate", session, expression=expression, returnByValue=True
        )
        return result["result"].get("value")

    def wait_until(expression):
        for _ in range(400):
            if evaluate(expression):
                return
            time.sleep(0.05)
        raise AssertionError(f"{expression}: {evaluate('document.body.innerText')}")

    def click(band, place):
        box = evaluate(
            f"(() => {{ const c = document.getElementById('{band}'); c.scrollIntoView();"
            "const b = c.getBoundingClientRect(), e = c.clientLeft;"
            "return [b.left + e, b.top + e, (b.width - 2 * e) / c.width] })()"
        )
        x, y = (box[axis] + (place[axis] + 0.5) * box[2] for axis in (0, 1))
        for kind in ("mousePressed", "mouseReleased"):
            chromium.send(
                "Input.dispatchMouseEvent",
                session,
                type=kind,
                x=float(x),
                y=float(y),
                button="left",
                clickCount=1,
            )

    chromium.send("Page.navigate", session, url=address)
    wait_until("document.body && document.body.dataset.ready === 'yes'")
    click("infrared", (5, 5))  # not its turn: nothing happens
    for seen_x, seen_y, x, y in true_pairs(truth):
        click("visible", (seen_x, seen_y))
        click("infrared", (x, y))
    wait_until(f"document.getElementById('count').textContent === '{len(PLACES)} pairs'")
    wait_until("!document.getElementById('save').disabled")
    assert "off by" in evaluate("document.getElementById('said').textContent")
    assert evaluate("document.getElementById('overlay').naturalWidth") == 640
    assert evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The icon is inside too: every request went to this page's own path.
    asked = [
        event["params"]["request"]["url"]
        for event in chromium.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert all(url.startswith((address, "data:")) for url in asked)
    evaluate("document.getElementById('save').click()")
    report = outcome.get(timeout=30)
    # Mouse positions are whole CSS pixels: about half a pixel of the picture.
    assert report.error_px < 2.5
    probe = np.array([[[20.0, 20], [100, 20], [100, 80], [20, 80]]])
    got, wanted = (
        cv2.perspectiveTransform(probe, m) for m in (read_rig(output).homography(), truth)
    )
    assert np.linalg.norm(got - wanted, axis=2).mean() < 1.5
    wrong = [
        e
        for e in chromium.events
        if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
    ]
    assert wrong == []
    chromium.send("Target.closeTarget", targetId=target)
