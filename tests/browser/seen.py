"""Pages that are watched: what they try is written down, and nothing of it gets out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

PICTURES = Path(__file__).parents[2] / "test-artifacts" / "browser"


@dataclass
class Seen:
    """What a page has tried so far.

    Attributes:
        left: Requests that would have gone elsewhere than where the page came from. None of them went.
    """

    page: Page
    left: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    @property
    def pwned(self) -> bool:
        """Whether a script of somebody else has run in the page itself or spoken to the person in front of it."""
        return bool(self.dialogs) or self.page.evaluate("window.pwned !== undefined")

    def move_over_everything(self) -> None:
        """Point at and focus all that there is: some scripts wait for that."""
        self.page.evaluate(
            """() => document.querySelectorAll('*').forEach(element => {
                element.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
                if (element.focus) element.focus();
            })"""
        )

    def picture(self, name: str) -> None:
        """Keep a screenshot for people."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@contextmanager
def visits(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """What opens addresses; their windows are closed in the end."""
    contexts = []

    def go(url: str, within: str | None = None, *, dark: bool = False, width: int = 1200, **more: Any) -> Seen:
        context = browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": 900}, **more
        )
        contexts.append(context)
        page = context.new_page()
        seen = Seen(page)

        def decide(route: Route) -> None:
            if route.request.url.startswith(within or url):
                route.continue_()
            else:
                seen.left.append(route.request.url)
                route.abort()

        context.route("**/*", decide)
        page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.console.append(f"uncaught: {error}"))
        page.goto(url, wait_until="load")
        return seen

    yield go
    for context in contexts:
        context.close()
