"""What the views of the analytics share: the live header, and the address of what is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.roles import Role
from ems_dash.services import Services
from ems_dash.ui.analytics import frame
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.header import frame_fields
from ems_dash.ui.live import nothing_new, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.silence import silence


class Frame:
    """The frame of one view over the services of an app."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    def moment(self, lang: str) -> Moment:
        """Return the state of the engine now."""
        services = self._services
        return Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)

    def page(self, moment: Moment, view: str, picker: Any, first: Sequence[Any] = ()) -> Any:
        """Return the page of `view` with `picker` above the place that is filled.

        `first` stands there until it is.
        """
        fields = _fields(moment)
        state = {"seq": moment.snapshot.seq, "token": self._shown.put(fields)}
        return frame.page(moment, fields, state, view=view, picker=picker, first=first)

    def delta(self, _tick: int, state: dict[str, Any] | None, lang: str) -> Any:
        """Return the texts of the header that have changed."""
        moment = self.moment(lang)
        if nothing_new(state, moment):
            return no_update
        return text_delta(state or {}, moment, _fields(moment), self._shown)


def _fields(moment: Moment) -> Fields:
    return frame_fields(moment, "an-root") | {frame.SILENT: silence(moment)}


def register_frame(app: dash.Dash, services: Services) -> None:
    """Add what all views share to `app`; once per app."""
    shared = Frame(services)
    app.callback(
        Output("an-delta", "data"),
        Input("an-tick", "n_intervals"),
        State("an-state", "data"),
        State("lang", "data"),
        running=[(Output("an-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(shared.delta)
    app.clientside_callback(
        ClientsideFunction("ems", "applyTexts"),
        Output("an-state", "data"),
        Output("an-charts", "data"),
        Input("an-delta", "data"),
        State("an-state", "data"),
        prevent_initial_call=True,
    )


def register_address(app: dash.Dash, view: str) -> None:
    """Keep what is chosen in `view` in the address; each view has its own store for it.

    Dash refuses a callback of which only some parts are on the page, so views share no output.
    """
    app.clientside_callback(
        ClientsideFunction("ems", "writeAddress"),
        Output(f"an-address-{view}", "clear_data"),
        Input(f"an-address-{view}", "data"),
        prevent_initial_call=True,
    )
