"""German and English texts from plain JSON catalogues."""

from ems_dash.i18n.catalogue import DEFAULT_LANG, LANGS, catalogue, label, negotiate, t
from ems_dash.i18n.device_said import device_said
from ems_dash.i18n.history_said import history_said
from ems_dash.i18n.meanings import meaning
from ems_dash.i18n.said import said
from ems_dash.i18n.sql_said import SqlSaid, sql_said

__all__ = [
    "DEFAULT_LANG",
    "LANGS",
    "SqlSaid",
    "catalogue",
    "device_said",
    "history_said",
    "label",
    "meaning",
    "negotiate",
    "said",
    "sql_said",
    "t",
]
