/* Keeps the number of active alarms in the top bar of the pages that the server draws, users and
   audit log for example; all others get it with everything else that is live. */
(function () {
  "use strict";

  var PERIOD_MS = 10000;
  var pill = document.getElementById("hdr-alarm");
  if (!pill) {
    return;
  }

  // As ems_dash.ui.header.alarm_count counts: warnings are left out.
  function counted(answer) {
    var active = answer.alarms.filter(function (alarm) {
      return alarm.active && alarm.severity === "alarm";
    }).length;
    var words = active === 1 ? pill.dataset.one : pill.dataset.many;
    return active ? words.replace("{n}", String(active)) : "";
  }

  function say(text) {
    if (pill.textContent !== text) {
      pill.textContent = text;
    }
  }

  function ask() {
    if (document.hidden) {
      return;
    }
    window
      .fetch("/api/alarms", { cache: "no-store", signal: AbortSignal.timeout(PERIOD_MS) })
      .then(function (response) {
        if (!response.ok) {
          throw new Error("HTTP " + response.status);
        }
        return response.json();
      })
      .then(
        function (answer) {
          say(counted(answer));
        },
        function () {
          // A number nobody confirms is no number.
          say(pill.dataset.lost);
        }
      );
  }

  window.setInterval(ask, PERIOD_MS);
  document.addEventListener("visibilitychange", ask);
})();
