/* Client-side half of the SQL page: keys, examples, names to insert, places of mistakes, and the
   queries a person keeps in this browser (dcc.Store "sq-saved": a list of {name, sql}). */
(function () {
  "use strict";

  var STORE = "sq-saved";

  function byId(id) {
    return document.getElementById(id);
  }

  // As if typed: Dash learns of it, and Ctrl+Z takes it back.
  function type(editor, text) {
    editor.focus();
    if (document.execCommand("insertText", false, text)) {
      return;
    }
    editor.setRangeText(text, editor.selectionStart, editor.selectionEnd, "end");
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function replaceAll(sql) {
    var editor = byId("sq-sql");
    editor.focus();
    editor.select();
    type(editor, sql);
    editor.setSelectionRange(0, 0);
    editor.scrollTop = 0;
  }

  function insert(name) {
    var editor = byId("sq-sql");
    var before = editor.value.charAt(editor.selectionStart - 1);
    type(editor, (/[\w)]/.test(before) ? " " : "") + name);
  }

  function goTo(line, column) {
    var editor = byId("sq-sql");
    var lines = editor.value.split("\n").slice(0, line - 1);
    var at = lines.reduce(function (sum, text) {
      return sum + text.length + 1;
    }, 0);
    at = Math.min(editor.value.length, at + column - 1);
    editor.focus();
    editor.setSelectionRange(at, Math.min(editor.value.length, at + 1));
  }

  // Read where it is kept: another tab may have saved meanwhile.
  function saved() {
    try {
      var found = JSON.parse(window.localStorage.getItem(STORE));
      return Array.isArray(found) ? found : [];
    } catch (error) {
      return [];
    }
  }

  function keep(queries) {
    window.dash_clientside.set_props(STORE, { data: queries });
  }

  function say(key, name) {
    byId("sq-said").textContent = byId("sq-saved-list").dataset[key].replace("{name}", name);
  }

  function others(name) {
    return saved().filter(function (query) {
      return query.name !== name;
    });
  }

  function save() {
    var input = byId("sq-name");
    var name = input.value.trim();
    var sql = byId("sq-sql").value;
    if (!name) {
      say("needName", "");
      input.focus();
      return;
    }
    if (!sql.trim()) {
      say("needSql", "");
      return;
    }
    var rest = others(name);
    say(rest.length < saved().length ? "replaced" : "said", name);
    rest.push({ name: name, sql: sql });
    rest.sort(function (a, b) {
      return a.name.localeCompare(b.name);
    });
    keep(rest);
  }

  function remove(name) {
    keep(others(name));
    say("deleted", name);
    byId("sq-name").focus();
  }

  function load(name) {
    saved().forEach(function (query) {
      if (query.name === name) {
        replaceAll(query.sql);
        byId("sq-said").textContent = "";
      }
    });
  }

  function part(kind, props) {
    return { namespace: "dash_html_components", type: kind, props: props };
  }

  function showSaved(_changed, queries) {
    var texts = byId("sq-saved-list").dataset;
    if (!Array.isArray(queries) || !queries.length) {
      return [part("Li", { children: texts.none, className: "caption" })];
    }
    return queries.map(function (query) {
      return part("Li", {
        children: [
          part("Button", {
            children: query.name,
            type: "button",
            className: "sq-load",
            title: query.sql,
            "data-sq-load": query.name,
          }),
          part("Button", {
            children: part("Span", { children: "×", "aria-hidden": "true" }),
            type: "button",
            className: "icon-button sq-delete",
            title: texts.delete.replace("{name}", query.name),
            "aria-label": texts.delete.replace("{name}", query.name),
            "data-sq-delete": query.name,
          }),
        ],
      });
    });
  }

  document.addEventListener("click", function (event) {
    var target = event.target.closest ? event.target.closest("button") : null;
    if (!target || !byId("sq-sql")) {
      return;
    }
    var data = target.dataset;
    if (data.sqSql) {
      replaceAll(data.sqSql);
    } else if (data.sqInsert) {
      insert(data.sqInsert);
    } else if (data.sqLine) {
      goTo(Number(data.sqLine), Number(data.sqColumn));
    } else if (data.sqLoad) {
      load(data.sqLoad);
    } else if (data.sqDelete) {
      remove(data.sqDelete);
    } else if (target.id === "sq-save") {
      save();
    }
  });

  // One statement at a time; the button stays enabled, so that it keeps the focus.
  document.addEventListener(
    "click",
    function (event) {
      var busy = byId("sq-busy");
      if (busy && !busy.hidden && event.target.closest && event.target.closest("#sq-run")) {
        event.stopPropagation();
        event.preventDefault();
      }
    },
    true
  );

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter") {
      return;
    }
    if (event.target.id === "sq-sql" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      byId("sq-run").click();
    } else if (event.target.id === "sq-name") {
      event.preventDefault();
      save();
    }
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    emsSql: { showSaved: showSaved },
  });
})();
