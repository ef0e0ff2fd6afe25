"""A real headless Chromium opens the pages; the tests look at what it drew."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.result_folder import FLOOR_RGB, WALL_RGB, estimate, write_result
from websockets.sync.client import connect

from ego_perception.viz.live import LiveViewer
from ego_perception.viz.report import write_report
from ego_perception.viz.viewer import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Software WebGL; a browser of a test calls nobody.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
SIZE = (900, 560)
PANEL_PX = 390


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium: none of " + ", ".join(BROWSERS) + " is on the PATH")
    return found


def screenshot(browser: str, url: str, folder: Path, size: tuple[int, int] = SIZE, budget_ms: int = 20_000) -> np.ndarray:
    """The page as (height, width, 3) RGB after `budget_ms` of the browser's own clock."""
    target = folder / "shot.png"
    own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"]
    asked = [f"--virtual-time-budget={budget_ms}", f"--screenshot={target}", url]
    done = subprocess.run([browser, *FLAGS, *own, *asked], capture_output=True, text=True, timeout=180)
    assert target.is_file(), done.stderr[-2000:]
    return cv2.imread(str(target))[..., ::-1]


@contextlib.contextmanager
def open_page(browser: str, url: str, folder: Path) -> Iterator[Callable[[], np.ndarray]]:
    """Keep a page open in real time; gives a function that takes a picture of it, through the browser's debugging protocol."""
    own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={SIZE[0]},{SIZE[1]}", "--remote-debugging-port=0"]
    process = subprocess.Popen([browser, *FLAGS, *own, "about:blank"], stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        control = next(line.split(" on ")[1].strip() for line in lines if line.startswith("DevTools listening"))
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        with connect(control, max_size=None, open_timeout=30) as socket:
            numbers = itertools.count(1)

            def call(method: str, session: str | None = None, **parameters: object) -> dict:
                number = next(numbers)
                message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
                socket.send(json.dumps(message))
                while (answer := json.loads(socket.recv(timeout=90))).get("id") != number:
                    pass
                return answer["result"]

            target = call("Target.createTarget", url=url)["targetId"]
            session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

            def picture() -> np.ndarray:
                data = base64.b64decode(call("Page.captureScreenshot", session, format="png")["data"])
                return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

            yield picture
    finally:
        process.terminate()
        process.wait(30)


def share_near(picture: np.ndarray, rgb: tuple[int, int, int], tolerance: int = 45) -> float:
    """Share of pixels close to a colour."""
    return float((np.abs(picture.astype(int) - rgb).max(axis=2) <= tolerance).mean())


def scene_of(picture: np.ndarray) -> np.ndarray:
    """The part left of the side panel and below the browser's notices."""
    return picture[180:, :-PANEL_PX]


def num_colours(picture: np.ndarray) -> int:
    return len(np.unique((picture // 8).reshape(-1, 3), axis=0))


def test_result_page_shows_cloud_cameras_and_pictures(browser: str, tmp_path: Path) -> None:
    with serve(write_result(tmp_path / "out"), port=0, block=False, max_points=20_000) as handle:
        handle.view.show(3)
        picture = screenshot(browser, handle.url, tmp_path)
    scene, panel = scene_of(picture), picture[:, -PANEL_PX:]
    assert share_near(scene, WALL_RGB) > 0.03
    assert share_near(scene, FLOOR_RGB) > 0.03
    background = np.median(picture[-20:, :20].reshape(-1, 3), axis=0)
    assert (np.abs(scene.astype(int) - background).max(axis=2) > 30).mean() > 0.15
    assert num_colours(scene) > 40
    # The current frame's picture in the panel has the room's two colours, and the timeline is drawn in the brand's blue.
    assert share_near(panel, WALL_RGB, 20) > 0.01
    assert share_near(panel, FLOOR_RGB, 20) > 0.01
    assert share_near(panel, (47, 143, 216), 25) > 0.0005


def test_result_page_without_a_cloud_has_none_of_its_colours(browser: str, tmp_path: Path) -> None:
    """The first test must be able to fail: the same page, switched to nothing."""
    with serve(write_result(tmp_path / "out"), port=0, block=False) as handle:
        for name in list(handle.view._scene.layers):
            handle.view._scene.set_layer(name, False)
        handle.view.show(5)
        scene = scene_of(screenshot(browser, handle.url, tmp_path))
    assert share_near(scene, WALL_RGB) < 0.005
    assert share_near(scene, FLOOR_RGB) < 0.005


def test_live_page_follows_a_running_estimator(browser: str, tmp_path: Path) -> None:
    viewer, ended = LiveViewer(port=0, max_rate_hz=3.0), threading.Event()

    def feed() -> None:
        for index in itertools.cycle(range(12)):
            if ended.wait(0.2):
                return
            viewer.write(estimate(index))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        with open_page(browser, viewer.url, tmp_path) as picture:
            end, shares = time.monotonic() + 90, (0.0, 0.0)
            while min(shares) < 0.02 and time.monotonic() < end:
                scene = scene_of(picture())
                shares = share_near(scene, WALL_RGB), share_near(scene, FLOOR_RGB)
            assert viewer.is_watched
    finally:
        ended.set()
        feeder.join()
        viewer.close()
    assert min(shares) >= 0.02


def test_report_opens_without_network_and_fits_the_window(browser: str, tmp_path: Path) -> None:
    report = write_report(write_result(tmp_path / "out"))
    picture = screenshot(browser, report.as_uri(), tmp_path, size=(1100, 2400), budget_ms=3_000)
    assert num_colours(picture) > 150
    assert share_near(picture, WALL_RGB, 30) > 0.01
    assert share_near(picture, FLOOR_RGB, 30) > 0.005
    ground = picture[1200, 2]
    margins = np.concatenate([picture[600:1800, :6], picture[600:1800, -6:]], axis=1)
    assert (np.abs(margins.astype(int) - ground).max(axis=2) <= 2).all(), "something sticks out of the page"
