"""Debian's Chromium without a screen, that tells what a page asked for and complained of."""
import json
import os
import shutil
import tempfile

from harness import SLOW, TIMEOUT, eventually

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
except ImportError:
    webdriver = None

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
has_browser = bool(webdriver and CHROMIUM and DRIVER)
SHOTS = os.environ.get("TOKENRING_SHOTS")  # A folder for pictures of the pages.


class Browser:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-first-run",
                     "disable-background-networking", "disable-component-update", "disable-extensions",
                     f"user-data-dir={self.folder.name}"):
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.set_page_load_timeout(60 * SLOW)
        self.asked = []  # Every address that the page asked for.

    def close(self):
        self.driver.quit()
        self.folder.cleanup()

    def screen(self, width, *, dark=False, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def open(self, url):
        self.driver.get(url)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, script, what, seconds=None):
        """Waits until the script returns something true; returns that."""
        return eventually(lambda: self.run(script), seconds or 4 * TIMEOUT, what)

    def type(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)
        field.submit()

    def requests(self):
        """Every address asked for since the browser started, whoever asked for it."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        return self.asked

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def shoot(self, name):
        """A picture of the whole page, where pictures are wanted."""
        if not SHOTS:
            return
        os.makedirs(SHOTS, exist_ok=True)
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": min(height, 1800), "scale": 1}})
        import base64
        with open(os.path.join(SHOTS, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(picture["data"]))
