/* Draws every plotly figure of the page from the JSON that its element holds. */
for (const node of document.querySelectorAll(".gl-plotly")) {
  const { data, layout } = JSON.parse(node.firstElementChild.textContent);
  node.replaceChildren();
  globalThis.Plotly.newPlot(node, data, layout, { responsive: true, displaylogo: false });
}
