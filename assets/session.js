/* What has to do with the session: a page whose session has ended says so, the pages of the
   accounts switch their theme, ask before they remove something, and copy a secret.

   Works with and without Dash on the page. */
(function () {
  "use strict";

  var over = false;

  function here() {
    return encodeURIComponent(window.location.pathname + window.location.search);
  }

  // The texts stand in the page (ems_dash.ui.shell), in its language.
  function sessionOver() {
    var texts = document.getElementById("session-texts");
    if (over || !texts) {
      return;
    }
    over = true;
    var box = document.createElement("div");
    box.className = "session-over";
    box.setAttribute("role", "alertdialog");
    box.setAttribute("aria-modal", "true");
    box.setAttribute("aria-labelledby", "session-over-title");
    var card = document.createElement("div");
    card.className = "card";
    var title = document.createElement("h2");
    title.id = "session-over-title";
    title.textContent = texts.dataset.title;
    var text = document.createElement("p");
    text.textContent = texts.dataset.text;
    var link = document.createElement("a");
    link.className = "button-main acc-wide";
    link.href = "/login?next=" + here();
    link.textContent = texts.dataset.link;
    card.append(title, text, link);
    box.append(card);
    document.body.append(box);
    link.focus();
  }

  function judge(response, url) {
    if (response.status === 401) {
      sessionOver();
    } else if (response.status === 403 && response.headers.get("X-EMS-Reason")) {
      // The password was reset meanwhile: the server knows where to go.
      window.location.assign("/account/password");
    } else {
      return response;
    }
    // Dash reads the body of a 401 twice, which is an error; "nothing to update" it takes.
    var isCallback = url.pathname.endsWith("/_dash-update-component");
    return isCallback ? new Response(null, { status: 204 }) : response;
  }

  var fetchBefore = window.fetch;
  window.fetch = function (resource) {
    var url = new URL(resource instanceof Request ? resource.url : resource, window.location.href);
    var answer = fetchBefore.apply(window, arguments);
    if (url.origin !== window.location.origin) {
      return answer;
    }
    return answer.then(function (response) {
      return judge(response, url);
    });
  };

  // On a phone the page that is open lies beyond the edge of the bar.
  function showOwnPage() {
    var own = document.querySelector(".nav-main:not(#nav) [aria-current]");
    if (own) {
      own.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  function toggleTheme() {
    var root = document.documentElement;
    var theme = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    root.setAttribute("data-bs-theme", theme);
    document.cookie = "ems_theme=" + theme + "; path=/; max-age=31536000; SameSite=Lax";
    try {
      window.localStorage.setItem("ems_theme", theme);
    } catch (error) {
      return; // storage may be blocked; the cookie still tells the server
    }
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-theme-toggle]")) {
      toggleTheme();
    }
    var copy = event.target.closest("[data-copy-text]");
    if (copy && navigator.clipboard) {
      navigator.clipboard
        .writeText(document.getElementById(copy.dataset.copyText).textContent)
        .then(function () {
          copy.textContent = copy.dataset.copied;
        });
    }
    document.querySelectorAll(".user-menu[open], .acc-more[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) {
        menu.removeAttribute("open");
      }
    });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      document.querySelectorAll(".user-menu[open], .acc-more[open]").forEach(function (menu) {
        menu.removeAttribute("open");
        menu.querySelector("summary").focus();
      });
    }
  });

  document.addEventListener("submit", function (event) {
    var question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
    }
  });

  showOwnPage();
})();
