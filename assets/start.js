/* Starts Dash. The last script of a page; a file, because the pages allow no scripts of their own
   and Dash's line would have to run before the files it needs are there. */
(function () {
  "use strict";
  new window.DashRenderer({
    // The page learns from every answer, empty ones too, that the server is there.
    callback_resolved: function (callback, result) {
      window.emsLive.resolved(callback, result);
    },
  });
})();
