/* Keeps a page at its site, where there are several: everything the page asks for names the site
   it was loaded for, and so does every address it leads to. Two tabs may show two sites.

   Works with and without Dash on the page. */
(function () {
  "use strict";

  var site = document.documentElement.dataset.site;
  if (!site) {
    return;
  }

  function ours(address) {
    var url = new URL(address, window.location.href);
    var known = url.origin === window.location.origin && /^https?:$/.test(url.protocol);
    return known && !url.pathname.startsWith("/assets/") ? url : null;
  }

  // The address with its site; one that names a site already stays as it is.
  function withSite(address) {
    var url = ours(address);
    if (!url || url.searchParams.has("site")) {
      return address;
    }
    url.searchParams.set("site", site);
    return url.href;
  }

  var fetchBefore = window.fetch;
  window.fetch = function (resource, options) {
    var asked = resource instanceof Request;
    if (!ours(asked ? resource.url : resource)) {
      return fetchBefore.apply(window, arguments);
    }
    var headers = new Headers((options && options.headers) || (asked ? resource.headers : {}));
    headers.set("X-EMS-Site", site);
    return fetchBefore.call(window, resource, Object.assign({}, options, { headers: headers }));
  };

  ["pushState", "replaceState"].forEach(function (name) {
    var before = window.history[name];
    window.history[name] = function (state, title, address) {
      var there = address === undefined || address === null ? window.location.href : address;
      return before.call(window.history, state, title, withSite(there));
    };
  });
  // What is copied from the address bar leads here, whichever site is the first one then.
  window.history.replaceState(window.history.state, "");

  // Links of other sites lead to this very page, as it is now; all others stay at this site.
  function prepare(link) {
    var target = link.dataset.siteLink;
    var written = link.getAttribute("href");
    if (target) {
      var url = new URL(window.location.href);
      url.searchParams.set("site", target);
      link.href = url.href;
    } else if (written && written[0] !== "#") {
      link.href = withSite(link.href);
    }
  }

  ["pointerdown", "focusin", "click"].forEach(function (name) {
    document.addEventListener(
      name,
      function (event) {
        var link = event.target.closest ? event.target.closest("a[href]") : null;
        if (link) {
          prepare(link);
        }
      },
      true
    );
  });

  document.addEventListener(
    "submit",
    function (event) {
      var form = event.target;
      if (form.method === "get") {
        // Its fields replace whatever the address of a form says.
        var field = form.elements.site || document.createElement("input");
        field.type = "hidden";
        field.name = "site";
        field.value = site;
        form.append(field);
      } else {
        form.action = withSite(form.action);
      }
    },
    true
  );
})();
