/* Says what was done or failed where it can be seen, when the place that says it is out of sight.

   Elements that say the outcome of an action (class "said", "choice-said" or "set-said") are read
   out by screen readers themselves; the toast is for the eye only. */
(function () {
  "use strict";

  var SHOWN_FOR_MS = 8000;
  var MOST = 3;
  var SAYS = ".said, .choice-said, .set-said";

  function isInSight(element) {
    var box = element.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= window.innerHeight;
  }

  function close(toast) {
    window.clearTimeout(Number(toast.dataset.timer));
    toast.remove();
  }

  function kindOf(element) {
    var notice = element.querySelector(".notice");
    return notice && notice.classList.contains("notice-alarm") ? "alarm" : "info";
  }

  function show(text, kind) {
    var place = document.getElementById("toasts");
    if (!place) {
      return;
    }
    var toast = document.createElement("div");
    toast.className = "toast-line toast-" + kind;
    toast.textContent = text;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "toast-close";
    button.tabIndex = -1;
    button.textContent = "\u00d7";
    button.addEventListener("click", function () {
      close(toast);
    });
    toast.appendChild(button);
    place.appendChild(toast);
    while (place.children.length > MOST) {
      close(place.firstElementChild);
    }
    toast.dataset.timer = window.setTimeout(function () {
      close(toast);
    }, SHOWN_FOR_MS);
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
          show(text, kindOf(element));
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
})();
