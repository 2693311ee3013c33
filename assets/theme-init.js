/* Runs before anything is drawn: sets the theme, so that no page flashes in the wrong one. */
(function () {
  "use strict";
  var theme = null;
  try {
    theme = window.localStorage.getItem("ems_theme");
  } catch (error) {
    theme = null; // storage may be blocked; the system's preference then decides
  }
  if (theme !== "light" && theme !== "dark") {
    theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.setAttribute("data-bs-theme", theme);
  // The server draws the first charts and needs to know.
  document.cookie = "ems_theme=" + theme + "; path=/; max-age=31536000; SameSite=Lax";
  var phone = window.matchMedia("(max-width: 480px)");
  function tellWidth() {
    document.cookie = "ems_width=" + (phone.matches ? "narrow" : "wide") + "; path=/; SameSite=Lax";
  }
  phone.addEventListener("change", tellWidth);
  tellWidth();
})();
