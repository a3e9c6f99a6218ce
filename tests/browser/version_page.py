"""The pages of a model and of its versions in MLflow's UI, used as a person uses it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.browser.seen import Seen

TOAST = ".du-bois-light-notification [role=alert]"
OPTION = ".du-bois-light-select-item-option"
ASSISTANT_IS_CLOSED = {
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
"""What MLflow's UI remembers of somebody who has closed the panel that opens on their first visit."""


class VersionPage:
    """The page of one version, or of the model, until the browser goes elsewhere."""

    def __init__(self, seen: Seen, server: str, name: str, version: int | None) -> None:
        self._seen = seen
        self._page = seen.page
        self._models = f"{server}/#/models"
        self._address = f"{self._models}/{name}" + (f"/versions/{version}" if version else "")
        self.reload()

    def picture(self, name: str) -> None:
        """Keep a screenshot for people."""
        self._seen.picture(name)

    # What it shows

    def fact(self, label: str) -> Locator:
        """What stands behind a label on top, such as ``Stage``."""
        facts = self._page.get_by_test_id("descriptions-item")
        labelled = facts.filter(has=self._page.get_by_text(re.compile(rf"^{label}( \(deprecated\))?$")))
        return labelled.get_by_test_id("descriptions-item-content")

    def tag(self, name: str) -> Locator:
        """The value of a tag."""
        return self._row(name).get_by_role("cell").nth(1)

    def listed(self, version: int) -> Locator:
        """The row of a version on the page of its model."""
        return self._page.get_by_role("row").filter(has_text=f"Version {version}")

    @property
    def verdicts(self) -> Locator:
        """The gates' table in the description."""
        return self._page.locator("table", has=self._page.get_by_text("verdict", exact=True))

    def says(self, words: str, picture: str) -> None:
        """A message says exactly this, all of it to be read. MLflow takes it away after three seconds."""
        toast = self._page.locator(TOAST)
        toast.hover()  # which lets it stay
        expect(toast).to_have_text(words)
        self._seen.picture(picture)
        _all_there(toast)
        self._page.get_by_label("Close notification").click()
        self._page.mouse.move(0, 0)
        expect(toast).to_have_count(0)

    def refuses_below(self, words: str, picture: str) -> None:
        """The open dialog says exactly this, all of it to be read, and stays open."""
        alert = self._dialog.locator(".du-bois-light-alert-error")
        expect(alert).to_have_text(words)
        self._seen.picture(picture)
        _all_there(alert)
        self._dialog.get_by_role("button", name="Cancel").click()
        expect(self._dialog).to_have_count(0)

    # What can be done on it

    def reload(self) -> None:
        """Go elsewhere and come back: the UI asks the server again, and dialogs are gone."""
        self._page.goto(self._models)
        expect(self._page.get_by_role("heading", name="Registered Models")).to_be_visible()
        self._page.goto(self._address)
        expect(self._menu).to_be_visible()

    def leave_the_new_interface(self) -> None:
        """Turn the switch, and say yes: the menu of stages is nowhere else."""
        self._page.get_by_role("switch", name="New model registry UI").click()
        self._dialog.get_by_role("button", name="Disable").click()
        expect(self.fact("Aliases")).to_have_count(0)

    def move_to(self, stage: str) -> None:
        """The menu of stages, and OK."""
        self.fact("Stage").locator("svg").click()
        self._page.get_by_role("menuitem").filter(has_text=stage).click()
        self._dialog.get_by_role("button", name="OK").click()
        expect(self._dialog).to_have_count(0)

    def set_alias(self, alias: str) -> None:
        """Add an alias in its dialog, and save."""
        self.fact("Aliases").get_by_role("button").last.click()
        self._dialog.get_by_role("combobox").fill(alias)
        self._dialog.get_by_role("combobox").press("Enter")
        self._dialog.get_by_role("button", name="Save aliases").click()

    def remove_alias(self) -> None:
        """Take the last alias away in their dialog, and save."""
        self.fact("Aliases").get_by_role("button").last.click()
        self._dialog.get_by_role("combobox").press("Backspace")
        self._dialog.get_by_role("button", name="Save aliases").click()

    def copy_into(self, model: str, *, new: bool) -> None:
        """``Promote model``: copy the version into another model."""
        self._page.get_by_role("button", name="Promote model").click()
        self._dialog.get_by_role("combobox").click()
        self._page.locator(OPTION).filter(has_text="Create New Model" if new else model).click()
        if new:
            self._dialog.get_by_label("Model Name").fill(model)
        self._dialog.get_by_role("button", name="Promote").click()

    def add_tag(self, name: str, value: str) -> None:
        """The form below the tags, which folds away where there are none."""
        if not self._page.get_by_test_id("tags-form-input-name").is_visible():
            self._page.get_by_role("button", name="Tags").click()
        self._page.get_by_test_id("tags-form-input-name").fill(name)
        self._page.get_by_test_id("tags-form-input-value").fill(value)
        with self._page.expect_response("**/model-versions/set-tag"):
            self._page.get_by_test_id("add-tag-button").click()

    def edit_tag(self, name: str, value: str) -> None:
        """The pencil beside a tag, another value, and save."""
        self._row(name).get_by_test_id("editable-table-button-edit").click()
        self._row(name).get_by_role("textbox").fill(value)
        self._row(name).get_by_role("button", name="Save").click()

    @property
    def delete(self) -> Locator:
        """Delete in the menu of the page, opened."""
        self._menu.click()
        return self._page.get_by_role("menuitem", name="Delete")

    @property
    def confirm(self) -> Locator:
        """The button of the open dialog that deletes."""
        return self._dialog.get_by_role("button", name="Delete")

    @property
    def _menu(self) -> Locator:
        return self._page.get_by_test_id("overflow-menu-trigger")

    def _row(self, tag: str) -> Locator:
        rows = self._page.get_by_test_id("tags-section").get_by_role("row")
        return rows.filter(has=self._page.get_by_text(tag, exact=True))

    @property
    def _dialog(self) -> Locator:
        return self._page.get_by_role("dialog")


def _all_there(text: Locator) -> None:
    """Nothing of a text is hidden, and none of it is outside of the window."""
    assert text.evaluate(
        """element => {
            const {left, top, right, bottom} = element.getBoundingClientRect();
            const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
            const cut = [element, ...element.querySelectorAll('*')].some(
                part => getComputedStyle(part).overflow !== 'visible' &&
                    (part.scrollWidth > part.clientWidth + 1 || part.scrollHeight > part.clientHeight + 1));
            return inside && !cut;
        }"""
    )
