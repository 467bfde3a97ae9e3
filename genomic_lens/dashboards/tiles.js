/* The map viewer as a widget: asks the kernel for the tiles in view and shows them. */

/* Tiles from the kernel; each question carries a number, and so does its answer. Number 0 was not asked: the tiles of
 * the places that are `coming` follow a new map of their own accord. */
function kernelSource(model, state) {
  const open = new Map();
  let count = 0;
  const settings = ["rows", "columns", "kind", "causal", "levels", "viridis"].map((name) => [name, model.get(name)]);
  const source = { ...Object.fromEntries(settings), cell: [1, 1] };
  const [map, coming] = [model.get("map"), model.get("coming")];
  const expect = (id) => new Promise((resolve) => {
    const silent = () => [state.silent(), open.delete(id), resolve([])];
    open.set(id, { resolve, timer: setTimeout(silent, SILENCE) });
  });
  const pushed = coming.length ? expect(`${map} 0`) : null;
  source.ask = (places) => {
    if (pushed && count === 0 && String(places) === String(coming)) return pushed;
    const id = `${map} ${(count += 1)}`;
    state.send({ id, map, places });
    return expect(id);
  };
  const heard = ({ id, tiles }, buffers) => {
    if (!open.has(id)) return;
    const { resolve, timer } = open.get(id);
    clearTimeout(timer);
    open.delete(id);
    state.alive();
    resolve(tiles.map((tile, index) => ({ ...tile, codes: bytes(buffers[index]) })));
  };
  model.on("msg:custom", heard);
  source.close = () => {
    model.off("msg:custom", heard);
    for (const { timer } of open.values()) clearTimeout(timer);
  };
  return source;
}

export default {
  render({ model, el }) {
    const [stack, readout] = [make("div", { class: "gl-stack" }), make("p", { class: "gl-readout" })];
    const state = banner(model);
    const send = sender(model);
    let [viewer, source] = [null, null];
    const mark = () => {
      viewer?.mark({ base: model.get("cursor"), partner: model.get("partner"), selection: stretch(model.get("selection")) });
      readout.textContent = model.get("note");
    };
    const build = () => {
      source?.close();
      el.classList.toggle("gl-signed", model.get("kind") === "signed");
      source = kernelSource(model, state);
      const pointed = ([row, column]) => !model.get("pinned") && send({ cursor: row, partner: column });
      const clicked = ([row, column]) => {
        const same = model.get("cursor") === row && (!model.get("pinned") || model.get("partner") === column);
        send({ pinned: !(model.get("pinned") && same), cursor: row, partner: column });
      };
      const seen = (view) => String(view) !== String(model.get("view")) && send({ view });
      const [letters, [start]] = [model.get("letters"), model.get("rows")];
      const letterOf = (base) => letters[base - start];
      const look = { label: model.get("label"), origin: model.get("origin"), letterOf, pointed, clicked, seen, before: viewer };
      viewer = tilesViewer(el, stack, source, look);
      redraw();
    };
    const redraw = () => {
      viewer.draw(SHADES[model.get("shade")]);
      mark();
    };
    el.replaceChildren(state.node, make("div", { class: "gl-body" }, stack), readout);
    const stops = hosted(el, redraw);
    build();
    model.on("change:map", build);
    model.on("change:shade", redraw);
    for (const name of ["cursor", "partner", "selection", "note"]) model.on(`change:${name}`, mark);
    return () => [...stops, state.stop, source.close].forEach((stop) => stop());
  },
};
