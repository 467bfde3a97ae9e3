// Draws the figures of a page in the colours of its theme, and again when the reader changes the theme.
(() => {
  const library = new URL("plotly.min.js", document.currentScript.src);
  const DARKEST = 110; // brightness, 0 to 255, of a line that can be seen on the dark background

  const isDark = () => document.documentElement.dataset.theme === "dark";
  const recolour = (text) => text.replace(/#[0-9a-f]{6}\b/gi, (colour) => window.darkColours[colour.toUpperCase()] ?? colour);

  function lighten(colour) {
    const parts = colour.match(/^#(..)(..)(..)$/)?.slice(1).map((part) => parseInt(part, 16));
    const brightness = parts && 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2];
    if (!parts || brightness >= DARKEST) return colour;
    const white = (DARKEST - brightness) / (255 - brightness);
    return `rgb(${parts.map((part) => Math.round(part + white * (255 - part)))})`;
  }

  function draw(box) {
    box.source ??= box.querySelector("script").textContent;
    const { data, layout } = JSON.parse(isDark() ? recolour(box.source) : box.source);
    const lines = data.map((trace) => trace.line).filter((line) => typeof line?.color === "string");
    if (isDark()) for (const line of lines) line.color = lighten(line.color);
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
