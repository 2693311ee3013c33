/* Takes the first view away, which the server wrote into the document, as soon as the page itself
   is there; see ems_dash/first_view.py. */
(function () {
  "use strict";

  // A page that has not come by then will not come: what Dash shows instead must be seen.
  var LATEST_MS = 20000;

  var view = document.getElementById("first-view");
  if (!view) {
    return;
  }

  function end() {
    watcher.disconnect();
    window.clearTimeout(latest);
    view.remove();
  }

  var watcher = new MutationObserver(function () {
    var content = document.getElementById("_pages_content");
    if (content && content.firstElementChild) {
      end();
    }
  });
  var latest = window.setTimeout(end, LATEST_MS);
  watcher.observe(document.getElementById("react-entry-point"), { childList: true, subtree: true });
})();
