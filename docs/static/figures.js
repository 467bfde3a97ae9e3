// Draws the figures of a page in the colours of its theme, and again when the reader changes the theme.
(() => {
  const library = new URL("plotly.min.js", document.currentScript.src);
  const dark = () => document.documentElement.dataset.theme === "dark";
  const recolour = (text) => text.replace(/#[0-9a-f]{6}\b/gi, (colour) => window.darkColours[colour.toUpperCase()] ?? colour);

  function draw(box) {
    box.source ??= box.querySelector("script").textContent;
    const { data, layout } = JSON.parse(dark() ? recolour(box.source) : box.source);
    Plotly.react(box, data, layout, { responsive: true, displaylogo: false });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const boxes = document.querySelectorAll(".live-figure");
    if (!boxes.length) return;
    const drawAll = () => boxes.forEach(draw);
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => {
      drawAll();
      new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    };
    document.head.append(script);
  });
})();
