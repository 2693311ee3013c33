/* Browser half of the settings: the section in the address, and what binds an input to its help
   and message for those who do not see the page. */
(function () {
  "use strict";

  function wire(root) {
    root.querySelectorAll(".set-field[data-error]").forEach(function (field) {
      var input = field.querySelector("input, select, textarea");
      var error = document.getElementById(field.dataset.error);
      if (!input || !error) {
        return;
      }
      var wrong = error.textContent !== "";
      var described = [field.dataset.help, wrong ? field.dataset.error : ""].filter(Boolean);
      if (described.length) {
        input.setAttribute("aria-describedby", described.join(" "));
      } else {
        input.removeAttribute("aria-describedby");
      }
      if (wrong) {
        input.setAttribute("aria-invalid", "true");
      } else {
        input.removeAttribute("aria-invalid");
      }
      field.classList.toggle("has-error", wrong);
    });
  }

  // Who adds something goes on typing in it.
  var added = null;

  function fieldsBelow(path) {
    return Array.from(document.querySelectorAll("#set-form .set-field")).filter(function (field) {
      return (field.dataset.path || "").indexOf(path + ".") === 0;
    });
  }

  function rememberAdding(button) {
    var id = button && button.id && button.id.charAt(0) === "{" ? JSON.parse(button.id) : {};
    if (id.type === "set-act" && id.op === "add") {
      added = { path: id.path, before: fieldsBelow(id.path).length };
    }
  }

  function focusAdded() {
    var fields = added ? fieldsBelow(added.path) : [];
    if (added && fields.length > added.before) {
      var input = fields[added.before].querySelector("input, select, textarea");
      added = null;
      if (input) {
        input.focus();
      }
    }
  }

  var waiting = false;

  function soon() {
    if (waiting) {
      return;
    }
    waiting = true;
    window.requestAnimationFrame(function () {
      waiting = false;
      var form = document.getElementById("set-form");
      if (form) {
        wire(form);
        focusAdded();
      }
    });
  }

  new MutationObserver(soon).observe(document.documentElement, {
    childList: true,
    subtree: true,
    characterData: true,
  });

  function isUnsaved() {
    var save = document.getElementById("set-save");
    return save !== null && !save.disabled;
  }

  document.addEventListener(
    "click",
    function (event) {
      rememberAdding(event.target.closest ? event.target.closest("button") : null);
      var link = event.target.closest ? event.target.closest("a[href]") : null;
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) {
        return;
      }
      if (link.classList.contains("set-nav-item")) {
        // The section changes here; in another tab it is a link like any other.
        event.preventDefault();
        return;
      }
      var root = document.getElementById("set-page");
      var leaves = new URL(link.href).pathname !== window.location.pathname;
      if (root && leaves && isUnsaved() && !window.confirm(root.dataset.leave)) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    true
  );

  // Enter in the input of a secret means its button; nothing is ever sent as a form.
  document.addEventListener("submit", function (event) {
    if (event.target.closest && event.target.closest("#set-page")) {
      event.preventDefault();
      event.target.querySelector("button").click();
    }
  });

  // Leaving with unsaved changes asks first, also when the page is only reloaded.
  window.addEventListener("beforeunload", function (event) {
    if (isUnsaved()) {
      event.preventDefault();
    }
  });

  function showSection(section) {
    document.querySelectorAll(".set-nav-item").forEach(function (link) {
      if (new URL(link.href).searchParams.get("section") === section) {
        link.setAttribute("aria-current", "true");
        if (link.parentNode.scrollWidth > link.parentNode.clientWidth) {
          link.parentNode.scrollLeft = link.offsetLeft - 16;
        }
      } else {
        link.removeAttribute("aria-current");
      }
    });
    var address = new URL(window.location.href);
    if (address.pathname === "/settings" && address.searchParams.get("section") !== section) {
      address.searchParams.set("section", section);
      window.history.replaceState(window.history.state, "", address);
      window.scrollTo(0, 0);
    }
    return "set-nav";
  }

  function applyFrame(delta) {
    if (!delta) {
      return window.emsLive.noUpdate();
    }
    if (delta.set) {
      window.emsLive.applyFields(delta.set);
    }
    return { seq: delta.seq, token: delta.token };
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    settings: { showSection: showSection, applyFrame: applyFrame },
  });
})();
