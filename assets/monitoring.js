/* Client-side half of the monitoring page: adds points to its charts and moves their time axis. */
(function () {
  "use strict";

  var MAX_POINTS = 760;
  var RAW_EVERY_MS = 10000;
  var CHARTS = ["m-power", "m-battery"];

  var drawn = { made: null, newest: 0, widened: null };
  var rawAt = 0;

  var isOnItsWay = window.emsLive.patience();

  // A row is [utc_ms, pv, load, grid, battery, soc, may charge, may discharge, setpoint];
  // order of traces as in ems_dash/ui/monitoring/charts.py.
  function powerOf(row) {
    var kw = row[4];
    return [
      Math.max(0, kw), // 0 for null
      Math.min(0, kw),
      row[1],
      row[3],
      row[2],
      kw,
    ];
  }

  function batteryOf(row) {
    return [row[7], row[6] === null ? null : -row[6], row[8], row[4], row[5]];
  }

  function extension(name, rows, valuesOf, offset) {
    var update = { x: [], y: [] };
    var traces = [];
    rows.forEach(function (row) {
      valuesOf(row).forEach(function (value, trace) {
        if (!update.x[trace]) {
          update.x[trace] = [];
          update.y[trace] = [];
          traces.push(trace);
        }
        update.x[trace].push(row[0] + offset);
        update.y[trace].push(value);
      });
    });
    return window.emsLive.withAreas(window.emsLive.plotOf(name), [update, traces, MAX_POINTS]);
  }

  // Where points are missing the line must show a hole.
  function withHoles(rows, newest, meta) {
    var out = [];
    rows.forEach(function (row) {
      if (newest && row[0] - newest > meta.hole_ms) {
        out.push([newest + meta.bucket_ms, null, null, null, null, null, null, null, null]);
      }
      out.push(row);
      newest = row[0];
    });
    return out;
  }

  function leaves(rows, range) {
    return rows.some(function (row) {
      return row.slice(1, 5).some(function (value) {
        return value !== null && (value < range[0] || value > range[1]);
      });
    });
  }

  function slide(nowMs, meta, pointsFollow) {
    var end = Math.floor(nowMs / meta.bucket_ms) * meta.bucket_ms + meta.offset_ms;
    CHARTS.forEach(function (name) {
      var plot = window.emsLive.plotOf(name);
      if (!plot || !plot.layout || !plot.layout.xaxis || !window.Plotly) {
        return;
      }
      var range = [end - meta.span_ms, end];
      var old = plot.layout.xaxis.range || [];
      if (old[0] === range[0] && old[1] === range[1]) {
        return;
      }
      if (pointsFollow) {
        plot.layout.xaxis.range = range; // drawn together with the points
      } else {
        // Not Plotly.relayout: its event makes dcc.Graph set a new figure, and Dash drops extendData
        // that arrives together with one.
        window.Plotly.update(plot, {}, { "xaxis.range": range });
      }
    });
  }

  function selectionIsIn(id) {
    var selection = window.getSelection();
    var element = document.getElementById(id);
    return Boolean(
      element && selection && !selection.isCollapsed && element.contains(selection.anchorNode)
    );
  }

  function applyDelta(delta, state, figure, span, tab, hold) {
    var none = window.emsLive.noUpdate();
    if (!delta) {
      return [none, none, none, none, none, none, none];
    }
    var next = Object.assign({}, state, {
      seq: delta.seq,
      token: delta.token,
      made: delta.made,
    });
    if (delta.set) {
      window.emsLive.applyFields(delta.set);
    }

    var extendPower = none;
    var extendBattery = none;
    var charts = none;
    var meta = figure && figure.layout && figure.layout.meta;
    if (meta && meta.made !== drawn.made) {
      drawn = { made: meta.made, newest: meta.newest, widened: null };
    }
    // While another range is on its way nothing is added to the old one.
    var sameRange = meta && meta.made.split("|")[0] === span;
    if (sameRange) {
      // Points that do not follow what is drawn are asked for again, see live.js.
      var may = window.emsLive.mayDraw();
      var follows = may && drawn.newest >= (state.newest || 0) && !delta.charts;
      var fresh = (follows ? delta.add || [] : []).filter(function (row) {
        return row[0] > drawn.newest;
      });
      if (fresh.length) {
        var rows = withHoles(fresh, drawn.newest, meta);
        extendPower = extension(CHARTS[0], rows, powerOf, meta.offset_ms);
        extendBattery = extension(CHARTS[1], rows, batteryOf, meta.offset_ms);
        if ((meta.empty || leaves(fresh, meta.y)) && drawn.widened !== drawn.made) {
          drawn.widened = drawn.made;
          charts = "range|" + delta.seq;
        }
        drawn.newest = fresh[fresh.length - 1][0];
        window.emsLive.willDraw(CHARTS);
      }
      if (may) {
        slide(delta.now, meta, fresh.length > 0);
      }
      next.newest = drawn.newest;
    }
    if (delta.charts) {
      if (!isOnItsWay(delta.charts, drawn.made)) {
        charts = delta.charts + "|" + delta.seq;
      }
      next.charts = delta.charts.replace("|late", "");
    }

    var alarms = none;
    var panel = none;
    if (delta.alarms) {
      alarms = next.alarms = delta.alarms;
    }
    if (delta.panel) {
      panel = next.panel = delta.panel;
    } else if (delta.made) {
      next.panel = delta.made.key;
    }
    var raw = none;
    var due = Date.now() - rawAt >= RAW_EVERY_MS;
    if (tab === "raw" && hold !== "yes" && due && !selectionIsIn("mon-raw-text")) {
      rawAt = Date.now();
      raw = delta.seq;
    }
    return [next, extendPower, extendBattery, charts, alarms, panel, raw];
  }

  function filterClass(chosen) {
    return "filtered filter-" + chosen;
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    emsMonitoring: { applyDelta: applyDelta, filterClass: filterClass },
  });
})();
