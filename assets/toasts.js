/* Messages that come and go: what an action led to when the place that says it is out of sight,
   and how an export is getting on, which no place says.

   Elements that say the outcome of an action are read out by screen readers themselves; their
   toast is for the eye only. A message of an export is read out from here. */
(function () {
  "use strict";

  var SHOWN_FOR_MS = { info: 8000, alarm: 20000 };
  var MOST = 3;
  var SAYS =
    ".said, .choice-said, .set-said, #set-channel-result, #set-broker-result, #im-said, " +
    "#bt-message, #bt-list-message, #sq-said";

  function isInSight(element) {
    var box = element.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= window.innerHeight;
  }

  function close(toast) {
    window.clearTimeout(Number(toast.dataset.timer));
    toast.remove();
  }

  function kindOf(element) {
    return element.querySelector(".notice-alarm, .is-failed") ? "alarm" : "info";
  }

  // Who reads or points at a message keeps it.
  function closeLater(toast, ms) {
    window.clearTimeout(Number(toast.dataset.timer));
    toast.dataset.timer = window.setTimeout(function () {
      if (toast.matches(":hover, :focus-within")) {
        closeLater(toast, ms);
      } else {
        close(toast);
      }
    }, ms);
  }

  function show(text, kind, isRead) {
    var place = document.getElementById("toasts");
    if (!place) {
      return null;
    }
    var toast = document.createElement("div");
    toast.className = "toast-line toast-" + kind;
    if (isRead) {
      toast.setAttribute("aria-hidden", "true");
    }
    var words = document.createElement("span");
    words.textContent = text;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "toast-close";
    button.setAttribute("aria-label", place.dataset.close);
    if (isRead) {
      button.tabIndex = -1;
    }
    button.textContent = "\u00d7";
    button.addEventListener("click", function () {
      close(toast);
    });
    toast.append(words, button);
    place.appendChild(toast);
    while (place.children.length > MOST) {
      close(place.firstElementChild);
    }
    closeLater(toast, SHOWN_FOR_MS[kind]);
    return toast;
  }

  new MutationObserver(function (changes) {
    var seen = new Set();
    changes.forEach(function (change) {
      var target = change.target.nodeType === 1 ? change.target : change.target.parentElement;
      var element = target && target.closest(SAYS);
      if (element && !seen.has(element)) {
        seen.add(element);
        var text = element.innerText.trim();
        if (text && !isInSight(element)) {
          show(text, kindOf(element), true);
        }
      }
    });
  }).observe(document.documentElement, { subtree: true, childList: true, characterData: true });

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") {
      return;
    }
    var place = document.getElementById("toasts");
    if (place && place.lastElementChild) {
      close(place.lastElementChild);
    }
  });

  // Exports: a link alone would say nothing while the server writes, and save an error as a file.

  function sizeText(bytes) {
    var units = ["B", "kB", "MB", "GB"];
    var number = bytes;
    var unit = 0;
    while (number >= 1000 && unit < units.length - 1) {
      number /= 1000;
      unit += 1;
    }
    var digits = { maximumFractionDigits: number < 10 && unit > 0 ? 1 : 0 };
    var lang = document.documentElement.lang || "en";
    return number.toLocaleString(lang, digits) + "\u202f" + units[unit];
  }

  function nameOf(response, link) {
    var stated = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") || "");
    return stated ? stated[1] : new URL(link.href).pathname.split("/").pop();
  }

  function save(address, name) {
    var anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = name;
    anchor.dataset.made = "true";
    anchor.click();
  }

  // A year of samples is more than a page may hold: null beyond `most` bytes.
  function collected(response, most) {
    var reader = response.body.getReader();
    var pieces = [];
    var size = 0;
    function next() {
      return reader.read().then(function (piece) {
        if (piece.done) {
          return new Blob(pieces, { type: response.headers.get("Content-Type") || "" });
        }
        size += piece.value.length;
        if (size > most) {
          reader.cancel();
          return null;
        }
        pieces.push(piece.value);
        return next();
      });
    }
    return next();
  }

  // The API speaks English and says a code: the page says the code in the reader's language.
  function whatFailed(response, place) {
    var words = JSON.parse(place.dataset.why);
    var other = words.other.replace("{status}", response.status);
    return response.json().then(
      function (body) {
        var error = body.error || {};
        return words[error.code + "." + error.field] || words[error.code] || other;
      },
      function () {
        return other;
      }
    );
  }

  function fetchExport(link, place) {
    var busy = show(place.dataset.busy, "info", false);
    link.setAttribute("aria-busy", "true");
    // It stays until there is something else to say.
    window.clearTimeout(Number(busy.dataset.timer));
    function end(text, kind) {
      link.removeAttribute("aria-busy");
      close(busy);
      if (text) {
        show(text, kind, false);
      }
    }
    window.fetch(link.href).then(
      function (response) {
        if (response.status === 401) {
          end("", "info");
          return null;
        }
        // A page instead of a file: the address leads nowhere, or a proxy answers in its place.
        var isPage = (response.headers.get("Content-Type") || "").indexOf("text/html") === 0;
        if (!response.ok || (isPage && !response.headers.get("Content-Disposition"))) {
          return whatFailed(response, place).then(function (why) {
            end(place.dataset.failed.replace("{why}", why), "alarm");
          });
        }
        var name = nameOf(response, link);
        return collected(response, Number(place.dataset.most)).then(function (blob) {
          if (!blob) {
            save(link.href, name);
            end(place.dataset.large.replace("{name}", name), "info");
            return;
          }
          var address = URL.createObjectURL(blob);
          save(address, name);
          window.setTimeout(function () {
            URL.revokeObjectURL(address);
          }, 60000);
          var text = place.dataset.ready.replace("{name}", name);
          end(text.replace("{size}", sizeText(blob.size)), "info");
        });
      }
    ).catch(function () {
      end(place.dataset.failed.replace("{why}", place.dataset.offline), "alarm");
    });
  }

  document.addEventListener("click", function (event) {
    var link = event.target.closest ? event.target.closest("a[download]") : null;
    var place = document.getElementById("toasts");
    var plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!link || !place || !plain || link.dataset.made || event.defaultPrevented) {
      return;
    }
    event.preventDefault();
    if (link.getAttribute("aria-busy") !== "true") {
      fetchExport(link, place);
    }
  });
})();
