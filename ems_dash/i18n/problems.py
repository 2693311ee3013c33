"""The configuration's own rules in German: what is wrong and the remedy, in one text.

The schema says its rules in English, where they stand. Here each of its sentences is recognised
and said again; ``{0}`` is what stands in the sentence's first gap. A sentence that is not listed
is shown as it is.
"""

from __future__ import annotations

import re
from functools import cache

from ems_dash.i18n.device_problems import DEVICE_RULES

_GERMAN: tuple[tuple[str, str], ...] = (
    # Battery, site, limits.
    (
        r"The value \((.+?)\) must be smaller than soc_max_percent \((.+?)\)",
        "SoC mindestens ({0} %) muss kleiner sein als SoC höchstens ({1} %).",
    ),
    (
        r"This is not a known time zone",
        "Diese Zeitzone ist nicht bekannt. Einen IANA-Namen wie Europe/Vienna angeben.",
    ),
    (
        r"There is nothing to read: the demo plant is off, and no device is enabled",
        "Es gibt nichts zu lesen: Die Demo-Anlage ist aus, und kein Gerät ist aktiv. Ein Gerät "
        "einschalten oder die Demo-Anlage auf „automatisch“ stellen.",
    ),
    (
        r"The id '(.+?)' is that of sites\[\d+\] already",
        "Die Kennung „{0}“ hat schon ein anderer Standort.",
    ),
    (
        r"The site whose settings these are cannot be removed here",
        "Der Standort, dessen Einstellungen offen sind, lässt sich hier nicht entfernen. Die eines "
        "anderen öffnen und ihn dort entfernen.",
    ),
    (
        r"The site '(.+?)' is not in the file any more",
        "Der Standort „{0}“ steht nicht mehr in der Datei. Die Seite neu laden.",
    ),
    (
        r"(\S+), unit (.+?), is a device of (\S+) already, and one of them may command it",
        "{0}, Gerätenummer {1}, gehört schon zu {2}. Ein Gerät gehört zu einem Standort.",
    ),
    (
        r"A place needs latitude and longitude",
        "Ein Ort braucht Breite und Länge. Beide angeben oder beide leeren.",
    ),
    (
        r"\w+ \((.+?) °C\) must be above \w+ \((.+?) °C\)",
        "{0} °C muss über {1} °C liegen. Die vier Temperaturen steigend angeben.",
    ),
    (
        r"Give limit_kw or percent_of_pv, one of both",
        "Entweder eine Leistung oder einen Anteil der PV angeben.",
    ),
    (
        r"contact_from belongs to the digital input, not to (\w+)",
        "„Kontakt meldet“ gehört zum digitalen Eingang, nicht zu {0}.",
    ),
    (
        r"A contact read from a device needs no heartbeat_s",
        "Ein von einem Gerät gelesener Kontakt braucht kein „Muss sich melden alle“; leeren.",
    ),
    (
        r"The source (\w+) is stated (\d+) times",
        "Die Quelle {0} steht {1}-mal. Jede Quelle nur einmal angeben.",
    ),
    (
        r"The demo plant cannot run beside a real device",
        "Die Demo-Anlage darf nicht neben einem echten Gerät laufen: Simulierte Werte dürfen nie "
        "in die echte Regelung. Die Demo-Anlage ausschalten oder das Gerät.",
    ),
    (
        r"A feed-in limit in percent needs the installed PV power",
        "Ein Anteil der PV braucht die installierte PV-Leistung. PV-Flächen angeben oder die "
        "Grenze in kW.",
    ),
    (
        r"An accelerated demo plant runs ahead of the prices",
        "Eine schnellere Demo-Uhr läuft den heute veröffentlichten Preisen davon. Das Tempo auf 1 "
        "setzen oder Preise aus Aufzeichnung verwenden.",
    ),
    (
        r"The digital input is to be read from a device, but none supplies (\w+)",
        "Der digitale Eingang soll von einem Gerät kommen, aber keines liefert {0}. Das Profil "
        "„Digitaleingang“ verwenden oder „Kontakt meldet“ auf API stellen.",
    ),
    (
        r"A device supplies (\w+), but no limit follows from it",
        "Ein Gerät liefert {0}, aber keine Grenze folgt daraus. Bei den Grenzen von außen den "
        "digitalen Eingang hinzufügen.",
    ),
    # Tariff.
    (
        r"(.+?) EUR/kWh looks like ct/kWh",
        "{0} EUR/kWh ist für einen Preis je kWh zu viel. Hier in ct/kWh angeben.",
    ),
    (
        r"'(.*?)' is not a time of day here",
        "„{0}“ ist keine Uhrzeit. Stunden und Minuten wie 06:00 angeben; 24:00 ist das Tagesende.",
    ),
    (
        r"'(.*?)' is not on a quarter-hour",
        "„{0}“ liegt auf keiner Viertelstunde. Preise wechseln nur um :00, :15, :30 und :45.",
    ),
    (
        r"The window begins and ends at (.+?), so",
        "Die Zeit beginnt und endet um {0} und gilt deshalb nie. Eines von beiden ändern.",
    ),
    (
        r"Windows (.+?) and (.+?) overlap on (.+?)\.",
        "Die Zeiten {0} und {1} überschneiden sich ({2}). Uhrzeit, Tage oder Monate ändern.",
    ),
    (
        r"The windows leave (.+?) without a price",
        "Die Zeiten lassen {0} ohne Preis. Den Preis außerhalb der Zeiten angeben oder eine Zeit "
        "hinzufügen.",
    ),
    (
        r"Without windows there must be a grid fee",
        "Ohne Zeiten muss es ein Netzentgelt geben; 0, wo keines anfällt.",
    ),
    (
        r"An energy price takes the place of the day-ahead price with its surcharges",
        "Ein Energiepreis ersetzt den Börsenpreis samt Aufschlägen. Aufschläge und Verluste auf 0 "
        "setzen oder den Energiepreis leeren.",
    ),
    (
        r"A feed-in price takes the place of the day-ahead price with its fees",
        "Ein Einspeisepreis ersetzt den Börsenpreis samt Gebühren. Gebühren auf 0 setzen oder den "
        "Einspeisepreis leeren.",
    ),
    (
        r"Without export \(false\) nothing is earned",
        "Ohne Einspeisen gibt es keinen Erlös, aber ein Einspeisepreis ist angegeben. Ihn leeren "
        "oder Einspeisen erlauben.",
    ),
    (r"'(.*?)' is not a day", "„{0}“ ist kein Tag. So schreiben: 2026-01-01."),
    (
        r"Only the first version may do without a day",
        "Nur die erste Fassung darf ohne Tag sein. „Gültig ab“ angeben.",
    ),
    (
        r"(.+?) is not after the day of the version before \((.+?)\)",
        "{0} liegt nicht nach dem Tag der Fassung davor ({1}).",
    ),
    (
        r"This stands beside versions and would apply to none of them",
        "Das steht neben den Fassungen und gälte für keine. In jede Fassung verschieben.",
    ),
    # Prices, weather, forecasts, history.
    (
        r"The price source 'file' needs a file",
        "Die Quelle „Datei“ braucht den Pfad einer CSV- oder Parquet-Datei.",
    ),
    (
        r"No public holidays are known for this country",
        "Für dieses Land sind keine Feiertage bekannt. Zwei Buchstaben wie AT oder DE angeben.",
    ),
    (
        r"A weather forecast needs the place of the site",
        "Eine Wetterprognose braucht Breite und Länge des Standorts.",
    ),
    (
        r"The demo plant replays a recorded year",
        "Die Demo-Anlage spielt ein aufgezeichnetes Jahr ab; das Wetter von heute passt nicht zu "
        "ihrer Sonne. Wetterquelle „keine“ wählen oder ein Gerät aktivieren.",
    ),
    (
        r"A forecast from weather needs a weather source and the PV planes",
        "Eine Prognose aus dem Wetter braucht eine Wetterquelle und die PV-Flächen.",
    ),
    (
        r"An archive of (\d+) months is shorter than raw_days \((\d+)\)",
        "Ein Archiv von {0} Monaten ist kürzer als der schnelle Speicher ({1} Tage).",
    ),
    (
        r"Minutes \((\d+) days\) must be kept at least as long as samples \(raw_days: (\d+)\)",
        "Minutenwerte ({0} Tage) müssen mindestens so lange bleiben wie Messwerte ({1} Tage).",
    ),
    (
        r"The window from (.+?) to (.+?) is empty",
        "Die Zeit von {0} bis {1} ist leer. Eines von beiden ändern.",
    ),
    (
        r"dsn_env names a whole connection string",
        "dsn_env nennt eine ganze Verbindung; daneben steht nichts. Eines von beiden entfernen.",
    ),
    (
        r"No database is named",
        "Es ist keine Datenbank genannt. Den Host angeben oder dsn_env.",
    ),
    (
        r"The password has two places",
        "Das Passwort steht an zwei Orten. password_env oder password_file behalten.",
    ),
    (
        r"The backend postgres needs to know its database",
        "PostgreSQL braucht die Datenbank: host, dbname, user und password_env, oder dsn_env.",
    ),
    (
        r"A history in PostgreSQL is not backed up by EMS Dash",
        "Eine Historie in PostgreSQL sichert EMS Dash nicht. backup_folder entfernen und pg_dump "
        "verwenden.",
    ),
    (r"'(.*?)' is no local time of day", "„{0}“ ist keine Uhrzeit. So schreiben: 17:30."),
    # MQTT and notifications.
    (
        r"Values over MQTT are real",
        "Werte über MQTT sind echt und dürfen nicht mit der Demo-Anlage gemischt werden, die ohne "
        "echtes Gerät läuft. Ein Gerät aktivieren oder die Werte entfernen.",
    ),
    (
        r"A channel of type mqtt needs the broker",
        "Ein Kanal über MQTT braucht den Broker. MQTT einschalten oder den Kanal entfernen.",
    ),
    (r"(.+?) is no time of day", "{0} ist keine Uhrzeit. So schreiben: 22:00."),
    (r"An e-mail channel needs a host", "Ein E-Mail-Kanal braucht einen Host."),
    (r"An e-mail channel needs a sender", "Ein E-Mail-Kanal braucht einen Absender."),
    (r"An e-mail channel needs recipients", "Ein E-Mail-Kanal braucht Empfänger."),
    (r"One of (.+?) is missing", "Eine dieser Angaben fehlt: {0}."),
    (r"(\w+) and (\w+) say the same thing", "{0} und {1} sagen dasselbe. Nur eines behalten."),
    (
        r"A password without a user name is of no use",
        "Ein Passwort ohne Benutzernamen nützt nichts. Den Benutzernamen angeben.",
    ),
    (
        r"A password must not travel without encryption",
        "Ein Passwort darf nicht unverschlüsselt reisen. STARTTLS oder SMTPS wählen.",
    ),
    (
        r"(.+?) is not in the local network; without encryption",
        "{0} liegt nicht im lokalen Netz; unverschlüsselt liest dort jeder mit. STARTTLS oder "
        "SMTPS wählen.",
    ),
    (r"'(.*?)' is no e-mail address", "„{0}“ ist keine E-Mail-Adresse."),
    (r"There is no alarm '(.*?)'", "Den Alarm „{0}“ gibt es nicht."),
    (
        r"The alarm (.+?) stands under only and under never",
        "Der Alarm {0} steht unter „nur“ und unter „nie“.",
    ),
    (
        r"Quiet hours from (.+?) to (.+?) have no length",
        "Eine Ruhezeit von {0} bis {1} hat keine Dauer.",
    ),
    (
        r"There is no such key, and secrets do not stand in this file",
        "Diesen Schlüssel gibt es nicht, und Geheimnisse stehen nicht in dieser Datei.",
    ),
    (r"'(.*?)' is not possible here", "„{0}“ ist hier nicht möglich."),
)


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), text) for pattern, text in (*_GERMAN, *DEVICE_RULES))


def in_german(message: str) -> str | None:
    """Return a sentence of the configuration's rules in German, None when it is not known."""
    for pattern, text in _rules():
        found = pattern.match(message)
        if found is not None:
            return text.format(*found.groups())
    return None
