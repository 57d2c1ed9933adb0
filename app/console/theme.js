// Light or dark before anything is painted: the system's, unless a choice was made here. No module: those come too late.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = localStorage.getItem("ssvp-theme") ?? (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
  };
  system.addEventListener("change", apply);
  document.addEventListener("themechosen", apply);
  apply();
})();
