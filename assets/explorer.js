/* Tells a zoom in the chart of the data explorer from everything else Plotly says of it. */
(function () {
  "use strict";

  // A chart that is drawn anew says so too. Asked on the server, that would overtake a click on a
  // button of the same callback, and Dash drops what is overtaken.
  function zoomOf(event) {
    var zoomed = event && event["xaxis.range[0]"] !== undefined;
    return zoomed ? event : window.dash_clientside.no_update;
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    emsExplorer: { zoomOf: zoomOf },
  });
})();
