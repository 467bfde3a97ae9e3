"""JupyterLab on loopback, and a notebook in it driven through a headless Chromium."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import nbformat

BROWSER = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
PATIENCE = 25_000  # milliseconds; a cell that imports everything takes long on a busy machine
OWN = ("data:", "blob:", "about:", "file:")


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook with these code cells."""
    content = nbformat.v4.new_notebook(metadata=KERNEL, cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(content, path)
    return path


@dataclass
class Lab:
    """A running server: where it listens, what it asks for, and the folder that it shows."""

    base: str
    token: str
    root: Path

    def ask(self, path: str, method: str = "GET") -> object:
        """The answer of the server's REST API."""
        request = urllib.request.Request(f"{self.base}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")


def _settings(folder: Path, theme: str) -> None:
    """No news over the pictures, and the theme."""
    folder = folder / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True)
    (folder / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (folder / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))


def _wait_until(answers, process: subprocess.Popen, seconds: float = 60) -> None:
    start = monotonic()
    while True:
        try:
            answers()
        except OSError:
            if process.poll() is not None or monotonic() - start > seconds:
                raise RuntimeError("JupyterLab did not start.") from None
            sleep(0.1)
        else:
            return


@contextmanager
def serving(scratch: Path, theme: str = "JupyterLab Light") -> Iterator[Lab]:
    """JupyterLab on a free port of this machine, with settings of its own below `scratch`."""
    root = scratch / "root"
    root.mkdir()
    _settings(scratch / "settings", theme)
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    own = {name: str(scratch / folder) for name, folder in (folders | {"JUPYTERLAB_SETTINGS_DIR": "settings"}).items()}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab = Lab(f"http://127.0.0.1:{port}", secrets.token_hex(16), root)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", "--LabApp.expose_app_in_browser=True",
        f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={root}",
    ]  # fmt: skip
    environment = os.environ | own | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (scratch / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until(lambda: lab.ask("status"), server)
            yield lab
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@contextmanager
def browsing(width: int = 1300, height: int = 1900):
    """A browser's context: its pages share nothing with a person's own browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=flags)
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE)
        try:
            yield context
        finally:
            browser.close()


@dataclass
class Complaints:
    """What went wrong on pages: errors on the console, uncaught exceptions, requests to anywhere else."""

    base: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def listen(self, page) -> None:
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._requested(request.url))

    def _requested(self, url: str) -> None:
        if not url.startswith((self.base, *OWN)):
            self.elsewhere.append(url)


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, context, lab: Lab, name: str, listen=lambda page: None):
        self.lab, self.name, self.page = lab, name, context.new_page()
        listen(self.page)
        self.page.goto(f"{lab.base}/lab/tree/{name}?reset&token={lab.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        self.page.wait_for_function(
            """() => {
                const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
                return context?.isReady && context.session?.kernel?.connectionStatus === "connected";
            }"""
        )

    def run_all(self) -> None:
        """Run all cells, until the last is done or one has failed."""
        self.page.evaluate('() => window.jupyterapp.commands.execute("notebook:run-all-cells")')

    def run(self, code: str):
        """Run code in a new cell at the end and wait for its end; gives the place of the cell."""
        index = self.page.evaluate(
            """async (source) => {
                const { content } = window.jupyterapp.shell.currentWidget;
                const index = content.model.cells.length;
                content.model.sharedModel.insertCell(index, { cell_type: "code", source });
                content.activeCellIndex = index;
                await window.jupyterapp.commands.execute("notebook:run-cell");
                return index;
            }""",
            code,
        )
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def printed(self, code: str) -> str:
        """What code prints."""
        return self.run(code).locator(".jp-OutputArea-output").inner_text().strip()

    def failures(self) -> list[str]:
        """Errors of cells."""
        content = self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON()")
        outputs = [output for cell in content["cells"] for output in cell.get("outputs", [])]
        return [f"{item['ename']}: {item['evalue']}" for item in outputs if item["output_type"] == "error"]

    def kernels(self) -> list[str]:
        """Names of the kernels that run for this notebook."""
        return [session["kernel"]["id"] for session in self.lab.ask("sessions") if session["path"] == self.name]

    def close(self) -> None:
        """Close the page and end its kernel."""
        for kernel in self.kernels():
            self.lab.ask(f"kernels/{kernel}", "DELETE")
        self.page.close()
