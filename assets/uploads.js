/* Names the hidden file input of an upload after what its button says: Dash gives it no name. */
(function () {
  "use strict";

  new MutationObserver(function () {
    document.querySelectorAll("input[type=file]:not([aria-label])").forEach(function (input) {
      var text = input.parentElement.textContent.trim();
      if (text) {
        input.setAttribute("aria-label", text);
      }
    });
  }).observe(document.documentElement, { subtree: true, childList: true });
})();
