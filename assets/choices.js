/* Rows of buttons of which one is chosen, tabs, and buttons that copy a text.

   A button with data-choice names the dcc.Store that is told its data-value; data-parameter is
   the name under which the address of the page keeps it. */
(function () {
  "use strict";

  function groupOf(button) {
    return button.closest("[role=tablist], .segment-group");
  }

  function remember(parameter, value) {
    var url = new URL(window.location.href);
    url.searchParams.set(parameter, value);
    window.history.replaceState(window.history.state, "", url);
  }

  function choose(button) {
    var isTab = button.getAttribute("role") === "tab";
    groupOf(button)
      .querySelectorAll("[data-choice]")
      .forEach(function (other) {
        var chosen = other === button;
        other.setAttribute(isTab ? "aria-selected" : "aria-pressed", String(chosen));
        if (isTab) {
          other.tabIndex = chosen ? 0 : -1;
        }
      });
    window.dash_clientside.set_props(button.dataset.choice, { data: button.dataset.value });
    if (button.dataset.parameter) {
      remember(button.dataset.parameter, button.dataset.value);
    }
  }

  function say(target, text) {
    var element = document.getElementById(target + "-said");
    if (element) {
      element.textContent = text;
    }
  }

  function copy(button) {
    var element = document.getElementById(button.dataset.copy);
    var done = function () {
      say(button.dataset.copy, button.dataset.said);
    };
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(element.textContent).then(done, function () {
        copySelected(element, done);
      });
    } else {
      copySelected(element, done);
    }
  }

  // Browsers lend the clipboard to pages over plain HTTP this way only.
  function copySelected(element, done) {
    var range = document.createRange();
    range.selectNodeContents(element);
    var selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    if (document.execCommand("copy")) {
      done();
    }
  }

  document.addEventListener("click", function (event) {
    var choice = event.target.closest("[data-choice]");
    if (choice) {
      choose(choice);
    }
    var copying = event.target.closest("[data-copy]");
    if (copying) {
      copy(copying);
    }
  });

  document.addEventListener("keydown", function (event) {
    var tab = event.target.closest && event.target.closest("[role=tab]");
    var steps = { ArrowRight: 1, ArrowLeft: -1, Home: "first", End: "last" };
    var step = steps[event.key];
    if (!tab || step === undefined) {
      return;
    }
    var tabs = Array.from(groupOf(tab).querySelectorAll("[role=tab]"));
    var index = tabs.indexOf(tab);
    var next =
      step === "first" ? 0 : step === "last" ? tabs.length - 1 : index + step + tabs.length;
    event.preventDefault();
    tabs[next % tabs.length].focus();
    choose(tabs[next % tabs.length]);
  });
})();
