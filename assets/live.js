/* Client-side half of the live pages: applies deltas, moves the "now" line, repaints charts for
   the other theme by the roles their traces carry, and notices when the server is silent. */
(function () {
  "use strict";

  var MAX_POINTS = 720;
  var TICK_MS = 2000; // as in ems_dash/ui/live.py
  var SLOW_MS = 500;
  var SLOWEST_MS = 10000;
  var WATCH_MS = 1000;
  var OFFLINE_AFTER_MS = 6000;
  var YEAR_S = 31536000;
  var NO_UPDATE = window.dash_clientside ? window.dash_clientside.no_update : undefined;

  function noUpdate() {
    return NO_UPDATE || window.dash_clientside.no_update;
  }

  function setCookie(name, value) {
    document.cookie = name + "=" + value + "; path=/; max-age=" + YEAR_S + "; SameSite=Lax";
  }

  // --- texts -----------------------------------------------------------------------------

  function applyFields(fields) {
    var byId = {};
    Object.keys(fields).forEach(function (key) {
      var dot = key.indexOf(".");
      var id = dot < 0 ? key : key.slice(0, dot);
      var prop = dot < 0 ? "children" : key.slice(dot + 1);
      (byId[id] = byId[id] || {})[prop] = fields[key];
    });
    Object.keys(byId).forEach(function (id) {
      if (document.getElementById(id)) {
        window.dash_clientside.set_props(id, byId[id]);
      }
    });
  }

  // --- charts ----------------------------------------------------------------------------

  function plotOf(name) {
    var host = document.getElementById('{"id":"' + name + '","type":"chart"}');
    return host ? host.querySelector(".js-plotly-plot") : null;
  }

  function rgba(hex, alpha) {
    var n = parseInt(hex.slice(1), 16);
    return "rgba(" + (n >> 16) + "," + ((n >> 8) & 255) + "," + (n & 255) + "," + alpha + ")";
  }

  function repaintTrace(trace, roles) {
    var meta = trace.meta || {};
    var hex = roles[meta.role];
    if (!hex) {
      return trace;
    }
    var out = Object.assign({}, trace);
    if (meta.line !== undefined) {
      out.line = Object.assign({}, trace.line, { color: rgba(hex, meta.line) });
    }
    if (meta.fill !== undefined) {
      out.fillcolor = rgba(hex, meta.fill);
    }
    if (meta.marker !== undefined) {
      out.marker = Object.assign({}, trace.marker, { color: rgba(hex, meta.marker) });
      if (meta.pattern !== undefined) {
        out.marker.pattern = Object.assign({}, trace.marker.pattern, {
          fgcolor: rgba(hex, meta.pattern),
        });
      }
    }
    return out;
  }

  // Shapes and annotations have no meta; their name reads "what:role:opacity".
  function namedColour(name, roles) {
    var parts = (name || "").split(":");
    return parts.length === 3 && roles[parts[1]] ? rgba(roles[parts[1]], parts[2]) : null;
  }

  function repaintShape(shape, roles) {
    var colour = namedColour(shape.name, roles);
    if (!colour) {
      return shape;
    }
    return shape.type === "rect"
      ? Object.assign({}, shape, { fillcolor: colour })
      : Object.assign({}, shape, { line: Object.assign({}, shape.line, { color: colour }) });
  }

  function repaintAnnotation(note, roles) {
    var colour = namedColour(note.name, roles);
    if (!colour) {
      return note;
    }
    var ground = note.bgcolor ? { bgcolor: rgba(roles.surface, 1) } : {};
    return Object.assign({}, note, ground, {
      font: Object.assign({}, note.font, { color: colour }),
    });
  }

  function repaintFigure(figure, look) {
    var layout = Object.assign({}, figure.layout, { template: look.template });
    layout.shapes = (layout.shapes || []).map(function (shape) {
      return repaintShape(shape, look.roles);
    });
    layout.annotations = (layout.annotations || []).map(function (note) {
      return repaintAnnotation(note, look.roles);
    });
    return {
      data: figure.data.map(function (trace) {
        return repaintTrace(trace, look.roles);
      }),
      layout: layout,
    };
  }

  // Moves what Plotly has drawn: letting it do so draws whole charts anew, every minute. What
  // Plotly draws later, for whatever reason, finds the same place in the layout.
  function moveNow(name, nowMs) {
    var plot = plotOf(name);
    var axis = plot && plot._fullLayout && plot._fullLayout.xaxis;
    var layout = plot && plot.layout;
    if (!axis || !layout.meta || !layout.shapes || !layout.annotations) {
      return;
    }
    var x = nowMs + layout.meta.offset_ms;
    var px = pixel(axis, x);
    var label = plot.querySelector('.annotation[data-index="0"]');
    if (label) {
      if (label.emsDrawnAt === undefined) {
        label.emsDrawnAt = layout.annotations[0].x;
      }
      var by = (px - pixel(axis, label.emsDrawnAt)).toFixed(2);
      label.setAttribute("transform", "translate(" + by + ",0)");
    }
    movePath(plot, 0, /(H)[-\d.]+/, px); // of the past, the right edge
    movePath(plot, 1, /([ML])[-\d.]+/g, px);
    layout.shapes[0].x1 = layout.shapes[1].x0 = layout.shapes[1].x1 = x;
    layout.annotations[0].x = x;
  }

  function pixel(axis, x) {
    return Math.round(100 * (axis._offset + axis.d2p(x))) / 100;
  }

  function movePath(plot, index, where, px) {
    var path = plot.querySelector('.shape-group[data-index="' + index + '"] path');
    if (path) {
      path.setAttribute(
        "d",
        path.getAttribute("d").replace(where, function (_, letter) {
          return letter + px;
        })
      );
    }
  }

  // An area says in its meta which line it lies below. It follows what that line is extended by;
  // in a gap it steps to 0, because a fill would bridge the gap.
  function withAreas(figure, extension) {
    var update = extension[0];
    ((figure && figure.data) || []).forEach(function (trace, place) {
      var below = trace.meta && trace.meta.below;
      var line = extension[1].indexOf(below);
      if (below === undefined || line < 0) {
        return;
      }
      var x = [];
      var y = [];
      var gap = false;
      update.y[line].forEach(function (value, i) {
        if (gap && value !== null) {
          x.push(update.x[line][i]);
          y.push(0);
        }
        gap = value === null;
        x.push(update.x[line][i]);
        y.push(gap ? 0 : value);
      });
      update.x.push(x);
      update.y.push(y);
      extension[1].push(place);
    });
    return extension;
  }

  // A point is [utc_ms, pv, load, grid, battery, soc]; order of traces as in plan_chart.py.
  function extensions(points, planMeta, priceMeta) {
    var power = { x: [[], [], [], [], [], []], y: [[], [], [], [], [], []] };
    var soc = { x: [[]], y: [[]] };
    points.forEach(function (point) {
      var kw = point[4];
      var values = [
        Math.max(0, kw), // 0 for null
        Math.min(0, kw),
        point[1],
        point[3],
        point[2],
        kw,
      ];
      values.forEach(function (value, trace) {
        power.x[trace].push(point[0] + planMeta.offset_ms);
        power.y[trace].push(value);
      });
      soc.x[0].push(point[0] + priceMeta.offset_ms);
      soc.y[0].push(point[5]);
    });
    return {
      power: [power, [0, 1, 2, 3, 4, 5], MAX_POINTS],
      soc: [soc, [0], MAX_POINTS],
    };
  }

  // --- sparklines of the last hour, from what the charts hold already -----------------------

  var SPARK_MS = 3600000;
  var LEAST_SPARK_MS = 600000;

  function sparkPolygon(x, y, leastSpan, floor) {
    var last = x.length - 1;
    while (last >= 0 && y[last] === null) {
      last -= 1;
    }
    var points = [];
    var values = [];
    var gap = false;
    for (var i = Math.max(0, last - 90); i <= last; i += 1) {
      if (x[last] - x[i] > SPARK_MS) {
        continue;
      }
      if (y[i] === null || y[i] === undefined) {
        gap = true;
        continue;
      }
      if (gap && points.length) {
        // Down to the base and along it: nothing is known of the time between.
        points.push([points[points.length - 1][0], null], [x[i], null]);
      }
      gap = false;
      points.push([x[i], y[i]]);
      values.push(y[i]);
    }
    // A few minutes would be a bar at the edge, which nobody reads as a line.
    if (values.length < 2 || points[points.length - 1][0] - points[0][0] < LEAST_SPARK_MS) {
      return null;
    }
    var low = Math.min.apply(null, values);
    var high = Math.max.apply(null, values);
    if (floor !== null) {
      low = Math.min(low, floor);
      high = Math.max(high, floor);
    }
    var room = Math.max(0, leastSpan - (high - low));
    high += room / 2;
    low -= floor !== null && low === floor ? 0 : room / 2;
    function px(at) {
      return (100 - ((points[points.length - 1][0] - at) / SPARK_MS) * 100).toFixed(1) + "%";
    }
    function py(value) {
      return (100 - ((value - low) / (high - low)) * 100).toFixed(1) + "%";
    }
    var base = py(floor === null ? low : floor);
    var corners = points.map(function (point) {
      return px(point[0]) + " " + (point[1] === null ? base : py(point[1]));
    });
    corners.unshift(px(points[0][0]) + " " + base);
    corners.push("100% " + base);
    return "polygon(" + corners.join(",") + ")";
  }

  function drawSpark(id, line, leastSpan, floor) {
    var area = document.getElementById(id);
    if (line && area) {
      area.style.clipPath = sparkPolygon(line.x, line.y, leastSpan, floor) || "";
    }
  }

  function drawSparks() {
    var plan = plotOf("plan");
    var price = plotOf("price-soc");
    drawSpark("soc-spark", price && price.data && price.data[0], 100, 0);
    drawSpark("pow-spark", plan && plan.data && plan.data[5], 10, 0);
    drawSpark("profit-spark", price && price.layout && price.layout.meta.profit, 2, null);
    return noUpdate();
  }

  // Charts take a moment to take over a new figure or new points, the first ones much longer.
  var sparkTimers = [];

  function drawSparksSoon() {
    sparkTimers.forEach(window.clearTimeout);
    sparkTimers = [400, 1500, 4000, 10000].map(function (afterMs) {
      return window.setTimeout(drawSparks, afterMs);
    });
    return noUpdate();
  }

  function leavesRange(points, range) {
    return points.some(function (point) {
      return point.slice(1, 5).some(function (value) {
        return value !== null && (value < range[0] || value > range[1]);
      });
    });
  }

  // A missing minute must stay a hole in the line.
  function withGaps(points, minute) {
    var out = [];
    points.forEach(function (point) {
      if (minute && point[0] - minute > 90000) {
        out.push([minute + 60000, null, null, null, null, null]);
      }
      out.push(point);
      minute = point[0];
    });
    return out;
  }

  // Dash drops an answer that is overtaken by the same question: charts asked for again before
  // they have come would never come.
  var PATIENCE_MS = 10000;

  function patience() {
    var asked = { key: null, made: null, at: 0 };
    return function (key, made) {
      var isOnItsWay =
        asked.key === key && asked.made === made && Date.now() - asked.at < PATIENCE_MS;
      if (!isOnItsWay) {
        asked = { key: key, made: made, at: Date.now() };
      }
      return isOnItsWay;
    };
  }

  // --- never faster than this browser draws ---------------------------------------------------

  var drawing = { names: [], since: 0, restUntil: 0 };

  // Charts get half of the time at most, and nothing is added to one that is being drawn: work
  // that piles up would leave a slow browser no moment for a click. What is left out now is asked
  // for again with the next answer, all that has come until then at once.
  function mayDraw() {
    var now = Date.now();
    var isDrawn = !drawing.names.length || now - drawing.since > PATIENCE_MS;
    return isDrawn && now >= drawing.restUntil;
  }

  function willDraw(names) {
    var mine = { names: [], since: Date.now(), restUntil: 0 };
    mine.names = names.filter(function (name) {
      var plot = plotOf(name);
      if (!plot || !plot.once) {
        return false; // Plotly has not come yet
      }
      plot.once("plotly_afterplot", function () {
        mine.names = mine.names.filter(function (other) {
          return other !== name;
        });
        if (!mine.names.length) {
          afterPainting(function () {
            mine.restUntil = 2 * Date.now() - mine.since;
          });
        }
      });
      return true;
    });
    drawing = mine;
  }

  function afterPainting(act) {
    window.requestAnimationFrame(function () {
      var channel = new MessageChannel();
      channel.port1.onmessage = act;
      channel.port2.postMessage(0);
    });
  }

  var drawn = { charts: null, minute: 0, nowMinute: 0, widened: null };
  var isOnItsWay = patience();

  function applyDelta(delta, state, planFigure, priceFigure) {
    var none = noUpdate();
    if (!delta) {
      return [none, none, none, none, none];
    }
    var next = Object.assign({}, state, { seq: delta.seq, token: delta.token });
    if (delta.set) {
      applyFields(delta.set);
    }

    var planMeta = planFigure && planFigure.layout && planFigure.layout.meta;
    var priceMeta = priceFigure && priceFigure.layout && priceFigure.layout.meta;
    var extendPlan = none;
    var extendPrice = none;
    var charts = none;
    var lists = none;

    if (planMeta && planMeta.made !== drawn.charts) {
      drawn = { charts: planMeta.made, minute: planMeta.minute, nowMinute: 0, widened: null };
    }
    // Points are left out when the charts are about to be drawn anew, and come with those; also
    // when a figure has come that ends before the points the server knew to be drawn, because
    // between the two a hole would stay.
    var follows = drawn.minute >= (state.minute || 0);
    var may = mayDraw();
    if (delta.add && follows && may && !delta.charts && planMeta && priceMeta) {
      var fresh = delta.add.filter(function (point) {
        return point[0] > drawn.minute;
      });
      if (fresh.length) {
        var ext = extensions(withGaps(fresh, drawn.minute), planMeta, priceMeta);
        extendPlan = withAreas(planFigure, ext.power);
        extendPrice = withAreas(priceFigure, ext.soc);
        if (leavesRange(fresh, planMeta.y) && drawn.widened !== drawn.charts) {
          drawn.widened = drawn.charts;
          charts = "range|" + delta.seq;
        }
        drawn.minute = fresh[fresh.length - 1][0];
        willDraw(["plan", "price-soc"]);
        drawSparksSoon();
      }
    }
    if (planMeta) {
      next.minute = drawn.minute; // asked for again when a new figure ends earlier
    }

    var nowMinute = Math.floor(delta.now / 60000);
    if (nowMinute !== drawn.nowMinute && !delta.charts) {
      drawn.nowMinute = nowMinute;
      moveNow("plan", delta.now);
      moveNow("price-soc", delta.now);
    }
    if (delta.charts && may) {
      if (!isOnItsWay(delta.charts, drawn.charts)) {
        charts = delta.charts + "|" + delta.seq;
        willDraw(["plan", "price-soc"]);
      }
      next.charts = delta.charts.replace("|late", "");
    }
    if (delta.lists) {
      lists = next.lists = delta.lists;
    }
    return [next, extendPlan, extendPrice, charts, lists];
  }

  // --- pages whose charts are drawn anew rather than extended -------------------------------

  function applyTexts(delta, state) {
    if (!delta) {
      return [noUpdate(), noUpdate()];
    }
    if (delta.set) {
      applyFields(delta.set);
    }
    var next = Object.assign({}, state, { seq: delta.seq, token: delta.token });
    if (delta.charts) {
      next.charts = delta.charts;
    }
    return [next, delta.charts || noUpdate()];
  }

  // Kept in the address, not in the history: every step back would else be one of a slider.
  function writeAddress(address) {
    if (address) {
      var query = new URLSearchParams(address).toString();
      window.history.replaceState(window.history.state, "", "?" + query);
    }
    return noUpdate();
  }

  // --- header ----------------------------------------------------------------------------

  function toggleTheme(clicks, current) {
    var theme = current === "dark" ? "light" : "dark";
    document.documentElement.setAttribute("data-bs-theme", theme);
    try {
      window.localStorage.setItem("ems_theme", theme);
    } catch (error) {
      console.info("The theme is kept in a cookie only: " + error.message);
    }
    setCookie("ems_theme", theme);
    return theme;
  }

  function repaint(theme, palette, figures) {
    drawn.nowMinute = 0; // the figures know only where "now" was when they were made
    return figures.map(function (figure) {
      return figure && figure.data ? repaintFigure(figure, palette[theme]) : noUpdate();
    });
  }

  function switchLanguage(clicks, lang, title) {
    setCookie("ems_lang", lang === "de" ? "en" : "de");
    window.location.reload();
    return title;
  }

  function markNav(pathname) {
    document.querySelectorAll("#nav .nav-item").forEach(function (link) {
      var path = new URL(link.href).pathname;
      if (path === pathname || (path !== "/" && pathname.indexOf(path + "/") === 0)) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else {
        link.removeAttribute("aria-current");
      }
    });
    return "nav-main";
  }

  // --- is the server there? --------------------------------------------------------------

  var lastAnswer = Date.now();
  var offline = false;

  function textOf(id) {
    var element = document.getElementById(id);
    return element ? element.textContent : "–";
  }

  function showOffline(yes) {
    var bar = document.getElementById("offline-bar");
    if (!bar || yes === offline) {
      return;
    }
    offline = yes;
    document.body.classList.toggle("is-offline", yes);
    window.dash_clientside.set_props("offline-bar", {
      hidden: !yes,
      children: yes ? bar.dataset.text.replace("{time}", textOf("hdr-time")) : "",
    });
  }

  // A browser that needs seconds to show an answer must not ask for the next one meanwhile: it
  // gets as much time again for everything else.
  function keepPace(answeredAt) {
    var page = document.querySelector("[data-tick]");
    if (!page) {
      return;
    }
    var shownAfterMs = Date.now() - answeredAt;
    var slow = shownAfterMs > SLOW_MS ? Math.min(shownAfterMs, SLOWEST_MS) : 0;
    var before = page.emsSlowerBy || 0;
    if (slow > 1.5 * before || slow < before / 1.5) {
      page.emsSlowerBy = slow;
      window.dash_clientside.set_props(page.dataset.tick, { interval: TICK_MS + slow });
    }
  }

  var watchedAt = Date.now();

  function watch() {
    var page = document.querySelector("[data-tick]");
    // While this browser could not listen, nobody was silent.
    var now = Date.now();
    var late = now - watchedAt - WATCH_MS;
    watchedAt = now;
    if (late > WATCH_MS / 2) {
      lastAnswer = Math.min(now, lastAnswer + late);
    }
    var patienceMs = OFFLINE_AFTER_MS + ((page && page.emsSlowerBy) || 0);
    var silent = now - lastAnswer > patienceMs;
    showOffline(page !== null && silent && !document.hidden);
    if (page !== null && silent) {
      // Dash leaves what `running` switched off as it is when a request finds no server.
      window.dash_clientside.set_props(page.dataset.tick, { disabled: false });
    }
  }

  document.addEventListener("visibilitychange", function () {
    // Browsers stretch timers of hidden tabs: give the first request time to come back.
    lastAnswer = Math.max(lastAnswer, Date.now() - OFFLINE_AFTER_MS / 2);
  });
  window.setInterval(watch, WATCH_MS);

  window.emsLive = {
    /* For the scripts of other live pages. */
    applyFields: applyFields,
    noUpdate: noUpdate,
    patience: patience,
    mayDraw: mayDraw,
    willDraw: willDraw,
    withAreas: withAreas,
    plotOf: plotOf,
    /* Called by the Dash renderer after every callback, whether or not it changed anything. */
    resolved: function (callback, result) {
      var byServer = callback && !callback.clientside_function;
      if (!byServer || !result || result.error) {
        return;
      }
      lastAnswer = Date.now();
      if (offline) {
        showOffline(false);
      }
      afterPainting(keepPace.bind(null, lastAnswer));
    },
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    ems: {
      applyDelta: applyDelta,
      applyTexts: applyTexts,
      drawSparks: drawSparksSoon,
      writeAddress: writeAddress,
      toggleTheme: toggleTheme,
      repaint: repaint,
      switchLanguage: switchLanguage,
      markNav: markNav,
    },
  });
})();
