"""The dashboard in a real browser, as a person sees it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from harness.clusters import wait_until
from selenium.webdriver.common.by import By

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective }) => violations.push(violatedDirective));
"""
_ROWS = """
    const lines = [...document.querySelectorAll(".grid tbody tr:not(.leaving, .space)")];
    return lines.map((line) => [...line.cells].map((cell) => cell.textContent));
"""
_FIGURES = """
    const figures = [...document.querySelectorAll(".tally > div")];
    const tabs = { Rows: document.querySelector("#count"), "Changes seen": document.querySelector("#seen") };
    return {
      ...Object.fromEntries(Object.entries(tabs).map(([name, count]) => [name, count.textContent])),
      ...Object.fromEntries(figures.map((figure) => [...figure.children].map((part) => part.textContent))),
    };
"""


# asking a browser costs it as much time as its page has
seen = partial(wait_until, seconds=20, pause=0.05)


def texts(rows: list[tuple]) -> list[list[str]]:
    """What the page should show of rows that a driver returned."""
    return [["NULL" if value is None else str(value) for value in row] for row in rows]


class Page:
    """One page of the server at ``address``."""

    def __init__(self, chrome: Chrome, address: str) -> None:
        self.chrome = chrome
        self.address = address
        self._script = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _VIOLATIONS})

    def close(self) -> None:
        """Leave the page, so that its stream ends."""
        self.chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", self._script)
        self.chrome.get("about:blank")

    def open(self, **query: str) -> None:
        self.chrome.get(f"{self.address}/?{urlencode(query)}")

    def go(self, path: str) -> None:
        """Open another page of the server."""
        self.chrome.get(self.address + path)

    def run(self, script: str, *args: Any) -> Any:
        return self.chrome.execute_script(script, *args)

    def imported(self, module: str, expression: str, argument: Any) -> Any:
        """The value of ``expression`` over the exports of a module of the page; ``argument`` is ``given`` in it."""
        script = f"""
            const [given, done] = arguments;
            import("/static/{module}.js").then((module) => done({expression}), (error) => done(String(error)));
        """
        return self.chrome.execute_async_script(script, argument)

    @property
    def rows(self) -> list[list[str]]:
        """The text of the cells of each line that is near the part in sight."""
        return self.run(_ROWS)

    def text(self, selector: str) -> str:
        """What is written there; empty while it is hidden."""
        return self.chrome.find_element(By.CSS_SELECTOR, selector).text

    @property
    def state(self) -> str:
        return self.text(".state-name")

    @property
    def figures(self) -> dict[str, str]:
        """The figures above the rows, by their names."""
        return self.run(_FIGURES)

    def until(self, selector: str, text: str) -> None:
        """Wait until ``text`` can be read there."""
        seen(lambda: text in self.text(selector), what=f"“{text}” in {selector}")

    def until_state(self, name: str) -> None:
        seen(lambda: self.state == name, what=f"the state {name}")

    def until_rows(self, rows: list[list[str]]) -> None:
        """Wait until just ``rows`` are listed, in this order."""
        try:
            seen(lambda: self.rows == rows)
        except AssertionError:
            assert self.rows == rows

    def click(self, selector: str) -> None:
        self.chrome.find_element(By.CSS_SELECTOR, selector).click()

    def scroll(self, top: int) -> None:
        """Scroll the rows to so many pixels from their beginning."""
        self.run("document.querySelector('.scroll').scrollTop = arguments[0]", top)

    def choose_table(self, name: str) -> None:
        """Pick the table called ``name``, as in paths."""
        self.click("#table")
        seen(lambda: self.run("return document.querySelector('#picker').matches(':popover-open')"), what="the picker")
        choice = (
            f"return [...document.querySelectorAll('#picker li button')].find((choice) => choice.value === {name!r})"
        )
        seen(lambda: self.run(choice), what=f"the table {name}").click()

    def choose_range(self, value: str) -> None:
        """Click a preset."""
        self.click(f".preset:has([value='{value}']) span")

    def filter(self, text: str) -> None:
        """Make ``text`` the filter."""
        if self.run("return document.querySelector('.filter-mode').ariaPressed") != "true":
            self.click(".filter-mode")
        self.enter("#filter", text)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.chrome.switch_to.active_element.send_keys(*keys)

    def enter(self, selector: str, text: str) -> None:
        """Type ``text``, then Enter."""
        field = self.chrome.find_element(By.CSS_SELECTOR, selector)
        field.clear()
        field.send_keys(text, "\n")

    def complaints(self) -> list[str]:
        """What the browser complained of since the last call: errors, warnings, violations of the policy."""
        said = [entry["message"] for entry in self.chrome.get_log("browser") if entry["level"] != "INFO"]
        return said + (self.run("return window.violations?.splice(0)") or [])
