/* The lens, part 10: starts every lens of a page. The address carries the cursor: page.html#sequence=2&base=31 is the
 * third sequence and base 31, both counted from 0. */
const asked = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  const count = (name) => (/^\d+$/.test(given.get(name) ?? "") ? Number(given.get(name)) : null);
  return { sequence: count("sequence"), base: count("base") };
};
const keep = ({ sequence, base, pinned }) => {
  if (pinned && location.protocol !== "about:") history.replaceState(null, "", `#sequence=${sequence}&base=${base}`);
};
const nodes = document.querySelectorAll(".gl-lens");
for (const node of nodes) {
  const payload = JSON.parse(node.querySelector("script").textContent);
  const keys = nodes.length === 1 ? document : node;
  render(node, payload, { start: asked(), changed: keep, keys })
    .then(({ go }) => addEventListener("hashchange", () => go(asked())))
    .catch((error) => node.append(`The lens could not be drawn (${error}); a browser of 2023 or later is needed.`));
}
