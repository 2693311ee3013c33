"""How a forecast was made, and why there is none."""

from __future__ import annotations

from typing import Final

FORECAST_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # How a forecast was made.
    (r"\bsame day last week\b", "derselbe Tag der letzten Woche"),
    (r"\bsame day (\d+) weeks ago\b", r"derselbe Tag vor \1 Wochen"),
    (r"\bsimilar day\b", "ähnlicher Tag"),
    (
        r"\bday before, no such weekday known yet\b",
        "Tag davor, noch kein solcher Wochentag bekannt",
    ),
    (
        r"\bflat mean of the first (\S+) h measured, no daily pattern known yet\b",
        r"Mittel der ersten \1 h Messung, noch kein Tagesverlauf bekannt",
    ),
    (
        r"\bmean by time of day of the first (\S+) h measured, flat where not yet seen\b",
        r"Mittel je Tageszeit aus den ersten \1 h Messung, sonst flach",
    ),
    (r"\bProphet with lagged prices\b", "Prophet mit früheren Preisen"),
    (r"\bProphet by kind of day\b", "Prophet nach Art des Tages"),
    (r"\bProphet on clear-sky power\b", "Prophet auf der Leistung bei klarem Himmel"),
    (r"\bridge regression\b(?! o[nf])", "Ridge-Regression"),
    (r"\bgradient boosting\b", "Gradient Boosting"),
    (
        r" \+ 28-day profile within the hour\b",
        " + Verlauf innerhalb der Stunde aus 28 Tagen",
    ),
    (r"\(recorded prices\)", "(aufgezeichnete Preise)"),
    (r"\(([\w.-]+) prices\)", r"(Preise von \1)"),
    (r"\bno holiday calendar\b", "ohne Feiertage"),
    (r"\bholidays of (\S+?)(?=,|$)", r"Feiertage von \1"),
    (
        r"\bP10/P90 at default widths, too few past forecasts\b",
        "P10/P90 mit üblicher Breite, noch zu wenige frühere Prognosen",
    ),
    (
        r"\bP10/P90 widened, only (\d+) past forecasts",
        r"P10/P90 verbreitert, erst \1 frühere Prognosen",
    ),
    (r"\bP10/P90 from (\d+) past forecasts", r"P10/P90 aus \1 früheren Prognosen"),
    (
        r"\birradiance, in part cloud cover of (\S+),",
        r"Einstrahlung, zum Teil Bewölkung von \1,",
    ),
    (r"\birradiance of (\S+),", r"Einstrahlung von \1,"),
    (r"\bcloud cover of (\S+),", r"Bewölkung von \1,"),
    (r"\(no location: from measurements\)", "(ohne Ort: aus Messungen)"),
    (r"\(location\)", "(nach dem Ort)"),
    (
        r"\bno weather source or location is set\b",
        "keine Wetterquelle oder kein Ort eingestellt",
    ),
    (r"\bmedian of three models\b", "Median aus drei Modellen"),
    (
        r"\bmedian of the last (\d+) days, none of the same kind known yet",
        r"Median der letzten \1 Tage, noch keiner von derselben Art bekannt",
    ),
    (r"\bmedian of similar days\b", "Median ähnlicher Tage"),
    (r"\bmean of recent days\b", "Mittel der letzten Tage"),
    (r"\bridge regression on (\S+) days", r"Ridge-Regression auf \1 Tagen"),
    (r"\bmedian of ", "Median aus "),
    (r"\(measured\)", "(gemessen)"),
    (r"\(recorded\)", "(aufgezeichnet)"),
    (r"\brecorded \+ measured\b", "aufgezeichnet + gemessen"),
    (r"\blast hour decaying over (\S+) h", r"letzte Stunde klingt über \1 h ab"),
    (r"\blast hour\b", "letzte Stunde"),
    (r"\b(\d+) of the last 7 days have gaps", r"\1 der letzten 7 Tage mit Lücken"),
    (
        r"\bnot enough history for (\w+): (\d+) of (\d+) days",
        r"zu wenig Historie für \1: \2 von \3 Tagen",
    ),
    # Why there is no forecast.
    (
        r"\bThe public holidays of this country or subdivision are not known\.",
        "Die Feiertage dieses Landes oder Bundeslands sind nicht bekannt.",
    ),
    (
        r"\bUse ISO codes, for example AT, or DE with subdivision BY; or leave it out\.",
        "ISO-Codes verwenden wie in der Dokumentation, oder weglassen.",
    ),
    (
        r"\bThere is not enough history for the ridge regression of the load\.",
        "Für die Ridge-Regression der Last ist zu wenig Historie da.",
    ),
    (
        r"\bThe (?:days|prices) that (\S+) is forecast from are not known\.",
        r"Woraus \1 vorhergesagt wird, ist nicht bekannt.",
    ),
    (
        r"\bThe two weeks before it are needed\.",
        "Die zwei Wochen davor werden gebraucht.",
    ),
    (
        r"\bThe day before and the week before are needed\.",
        "Der Tag davor und die Woche davor werden gebraucht.",
    ),
    (
        r"\bThe day before, the week before and the last day of its kind are needed\.",
        "Der Tag davor, die Woche davor und der letzte Tag derselben Art werden gebraucht.",
    ),
    (
        r"\bThe three days before and the same day of last week are needed\.",
        "Die drei Tage davor und derselbe Tag der letzten Woche werden gebraucht.",
    ),
    (
        r"\bWait for more measured days, or import past values\.",
        "Auf weitere gemessene Tage warten oder frühere Werte importieren.",
    ),
    (r"\bProphet could not learn: ", "Prophet konnte nicht lernen: "),
    (
        r"\bChoose another model for this series\.",
        "Ein anderes Modell für diese Reihe wählen.",
    ),
    (
        r"\bProphet for PV needs the clear-sky power of the site\.",
        "Prophet für PV braucht die Leistung des Standorts bei klarem Himmel.",
    ),
    (
        r"\bGive the site's latitude and longitude\.",
        "Breite und Länge des Standorts angeben.",
    ),
    (
        r"\bThe clear-sky power is zero on every day\.",
        "Die Leistung bei klarem Himmel ist an jedem Tag null.",
    ),
    (r"\bCheck latitude and longitude\.", "Breite und Länge prüfen."),
    (
        r"\b(\d+) known days of PV power are too few for a clear-sky envelope\b",
        r"\1 bekannte Tage mit PV-Leistung sind zu wenige für eine Hüllkurve des klaren Himmels",
    ),
    (
        r"\bAt least (\d+) of the last (\d+) days are needed\.",
        r"Mindestens \1 der letzten \2 Tage werden gebraucht.",
    ),
    (
        r"\bA weather source or a few days of measured PV power are needed\.",
        "Eine Wetterquelle oder einige Tage gemessener PV-Leistung werden gebraucht.",
    ),
    (
        r"\bThe weather of (\S+) says nothing for (.+?) UTC \((\d+) of (\d+) steps\)",
        r"Das Wetter von \1 sagt nichts für \2 UTC (\3 von \4 Schritten)",
    ),
    (
        r"\bAsk for fewer steps or use a weather source that reaches further\.",
        "Eine Wetterquelle verwenden, die weiter reicht.",
    ),
    (
        r"\bThe weather of (\S+) is (\S+) h old, at most (\S+) h are used\b",
        r"Das Wetter von \1 ist \2 h alt; verwendet werden höchstens \3 h",
    ),
    (
        r"\bThere is not enough history to forecast anything: (\d) of (\d) quarter-hours\.",
        r"Für eine Prognose ist noch zu wenig gemessen: \1 von \2 Viertelstunden.",
    ),
    (
        r"\bWait until an hour has been measured, or import past values\.",
        "Es braucht eine Stunde Messwerte; frühere Werte lassen sich importieren.",
    ),
    (r"\bThere is not enough history for LightGBM\.", "Für LightGBM ist zu wenig Historie da."),
    (r"\bThere is not enough history for Prophet\.", "Für Prophet ist zu wenig Historie da."),
    (
        r"\bThere is not enough history for the ridge regression of prices\.",
        "Für die Ridge-Regression der Preise ist zu wenig Historie da.",
    ),
    (
        r"\bThere is not enough history for a day of the same kind\.",
        "Für einen Tag derselben Art ist zu wenig Historie da.",
    ),
    (
        r"\bThere is not enough history for the same day of an earlier week\.",
        "Für denselben Tag einer früheren Woche ist zu wenig Historie da.",
    ),
    (
        r"\bThere is no past day to take for a similar one\.",
        "Es gibt noch keinen früheren Tag, der ähnlich wäre.",
    ),
    (
        r"\bAt least one complete past day is needed\.",
        "Mindestens ein ganzer vergangener Tag wird gebraucht.",
    ),
    (r"\bAt least one complete week is needed\.", "Mindestens eine ganze Woche wird gebraucht."),
    (
        r"\bAt least (\d+) days of published prices are needed\.",
        r"Mindestens \1 Tage veröffentlichter Preise werden gebraucht.",
    ),
    (
        r"\bAt least (\d+) complete days are needed\.",
        r"Mindestens \1 ganze Tage werden gebraucht.",
    ),
    (r"\bMore past days are needed\.", "Mehr vergangene Tage werden gebraucht."),
    (r"\bThere is no weather forecast\.", "Es gibt keine Wetterprognose."),
    (
        r"\bCheck the weather source and the network\.",
        "Wetterquelle und Netzwerk prüfen.",
    ),
    (r"\bpublished \(", "veröffentlicht ("),
    (r", then ", ", danach "),
    (r"\bclear-sky envelope\b", "Hüllkurve des klaren Himmels"),
    (r" x clearness of the last (\d+) days", r" × Klarheit der letzten \1 Tage"),
    (r"\bno weather\b", "ohne Wetter"),
    (r"\bown errors of (\d+) days", r"eigene Fehler aus \1 Tagen"),
    (r"\blonger leads assumed\b", "für längere Vorläufe angenommen"),
    (
        r"\bassumed widths, no errors of its own yet",
        "angenommene Breite, noch keine eigenen Fehler",
    ),
    (r"\bassumed widths\b", "angenommene Breite"),
    (r"\bnot calibrated, (\d+) days of pairs", r"nicht kalibriert, \1 Tage mit Paaren"),
    (r"\bone scale from (\d+) days", r"ein Faktor aus \1 Tagen"),
    (r"\bslot factors from (\d+) days", r"Faktoren je Tageszeit aus \1 Tagen"),
    (r"\blearned residual\b", "gelernter Rest"),
    (
        r"\bfrom (\S+ \S+) UTC, where the weather forecast ends",
        r"ab \1 UTC, wo die "
        "Wetterprognose endet",
    ),
    (r"\b([\d.]+) h old\b", r"\1 h alt"),
    (r"\(because: ", "(weil: "),
    (r"\b(\w+) failed: ", r"\1 gescheitert: "),
)
"""English phrases as regular expressions, and their German; longer ones before their parts."""
