// Draws the charts of the report. plotly.js stands compressed on the page; nothing is fetched.
(() => {
  "use strict";
  const root = document.documentElement;
  const place = (name) => document.getElementById("chart-" + name);
  let figures, views, names;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const printed = {};
  const config = { displaylogo: false, displayModeBar: false, responsive: true, scrollZoom: false };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // What the page's theme decides, laid under the layout that comes with a figure.
  function themed(layout) {
    const axis = { gridcolor: colour("grid"), zerolinecolor: colour("soft"), linecolor: colour("line") };
    const merged = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      hoverlabel: { bgcolor: colour("ink"), bordercolor: colour("ink"), font: { color: colour("page") } },
    };
    for (const key of ["xaxis", "yaxis", "yaxis2"]) if (layout[key]) merged[key] = { ...axis, ...layout[key] };
    if (layout.scene) {
      merged.scene = { ...layout.scene };
      for (const key of ["xaxis", "yaxis", "zaxis"])
        merged.scene[key] = { ...axis, color: colour("ink"), showbackground: false, ...layout.scene[key] };
    }
    return merged;
  }

  function chosen() {
    const value = (name, otherwise) =>
      (document.querySelector(`input[name="${name}"]:checked`) || { value: otherwise }).value;
    return views[value("statistic", "mean") + "-" + value("quantity", "error")];
  }

  // The traces of a figure, with the chosen view of the surface filled in.
  function traces(name) {
    const data = figures[name].data.map((trace) => ({ ...trace }));
    if (name === "map" || name === "solid") {
      const view = chosen();
      const [low, high] = name === "map" ? ["zmin", "zmax"] : ["cmin", "cmax"];
      Object.assign(data[0], { z: view.z, [low]: view.low, [high]: view.high, colorscale: view.scale });
      if (name === "map") data[0].colorbar = { ...data[0].colorbar, title: { text: view.title, side: "right" } };
      document.getElementById("saturation").textContent = view.note;
    }
    return data;
  }

  function layout(name) {
    const found = { ...figures[name].layout };
    if (name === "solid") {
      const drawn = place(name)._fullLayout;
      const camera = drawn ? drawn.scene._scene.getCamera() : found.scene.camera;
      found.scene = { ...found.scene, camera, zaxis: { title: { text: chosen().axis } } };
    }
    return themed(found);
  }

  const draw = (name) => window.Plotly.react(place(name), traces(name), layout(name), config);
  const redraw = () => Promise.all(names.map(draw));

  const turns = {
    left: ([r, t, h]) => [r, t - Math.PI / 12, h],
    right: ([r, t, h]) => [r, t + Math.PI / 12, h],
    up: ([r, t, h]) => [r, t, Math.min(h + Math.PI / 18, 1.5)],
    down: ([r, t, h]) => [r, t, Math.max(h - Math.PI / 18, -1.5)],
    in: ([r, t, h]) => [Math.max(r / 1.15, 0.6), t, h],
    out: ([r, t, h]) => [Math.min(r * 1.15, 6), t, h],
  };

  function turn(how) {
    const camera = place("solid")._fullLayout.scene._scene.getCamera();
    const first = { ...figures.solid.layout.scene.camera, up: { x: 0, y: 0, z: 1 } };
    if (how === "reset") return window.Plotly.relayout(place("solid"), { "scene.camera": first });
    const { x, y, z } = camera.eye;
    const distance = Math.hypot(x, y, z);
    const [r, around, height] = turns[how]([distance, Math.atan2(y, x), Math.asin(z / distance)]);
    const flat = r * Math.cos(height);
    const eye = { x: flat * Math.cos(around), y: flat * Math.sin(around), z: r * Math.sin(height) };
    return window.Plotly.relayout(place("solid"), { "scene.camera": { ...first, eye } });
  }

  function label() {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  }

  async function unpack(id) {
    if (typeof DecompressionStream === "undefined")
      throw new Error("this browser is too old to unpack them (it has no DecompressionStream; browsers since 2023 do)");
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  async function start() {
    ({ figures, views } = JSON.parse(await unpack("charts")));
    names = Object.keys(figures);
    const script = document.createElement("script");
    script.textContent = await unpack("plotly");
    document.head.append(script);
    if (!window.Plotly) throw new Error("plotly.js did not start");
    await redraw();
    for (const input of document.querySelectorAll(".controls input"))
      input.addEventListener("change", () => Promise.all([draw("map"), draw("solid")]));
    for (const button of document.querySelectorAll("[data-turn]"))
      button.addEventListener("click", () => turn(button.dataset.turn));
    theme.hidden = false;
    label();
    theme.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      label();
      redraw();
    });
    dark.addEventListener("change", () => (label(), redraw()));
    // Paper is white and narrower than a screen: charts are drawn anew for it, and back again.
    window.addEventListener("beforeprint", () => {
      printed.theme = root.dataset.theme;
      root.dataset.theme = "light";
      for (const name of names) {
        const height = place(name).classList.contains("tall") ? 280 : 220;
        window.Plotly.react(place(name), traces(name), { ...layout(name), width: 305, height }, config);
      }
    });
    window.addEventListener("afterprint", () => {
      if (printed.theme) root.dataset.theme = printed.theme;
      else delete root.dataset.theme;
      // The page still has the layout of paper: charts get the size of their places once it has that of the screen.
      setTimeout(() => redraw().then(() => names.forEach((name) => window.Plotly.Plots.resize(place(name)))));
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement.classList.contains("term")) document.activeElement.blur();
  });

  start().then(
    () => (root.dataset.charts = "drawn"),
    (error) => {
      root.dataset.charts = "failed";
      const notice = document.getElementById("undrawn");
      notice.hidden = false;
      notice.textContent = "The charts could not be drawn: " + error.message + ". Figures and tables are complete.";
    },
  );
})();
