/* The track as a widget: the sequence with its annotations and the contribution of each base. */

/* Lanes of ticks, one byte a base each; none while their number is still that of another sequence. */
function intoRows(names, codes, length) {
  if (!names.length || codes.byteLength !== names.length * length) return [];
  const all = bytes(codes);
  return names.map((name, row) => ({ name, codes: all.subarray(row * length, (row + 1) * length) }));
}

export default {
  render({ model, el }) {
    const [body, readout] = [make("div", { class: "gl-body" }), make("p", { class: "gl-readout" })];
    const state = banner(model);
    const send = sender(model);
    const clamp = (base) => Math.max(0, Math.min(model.get("sequence").length - 1, base));
    const viewer = trackViewer(body, {
      pointed: (base) => !model.get("pinned") && send({ cursor: clamp(base), partner: null }),
      clicked: (base) => {
        send({ pinned: !(model.get("pinned") && model.get("cursor") === clamp(base)), cursor: clamp(base) });
        body.firstElementChild.focus({ preventScroll: true });
      },
      selected: ([start, stop]) => send({ selection: [clamp(start), clamp(stop - 1) + 1] }),
      drawn: () => seen(),
    });
    /* What is in sight, in whole bases. */
    const seen = () => {
      const [from, to] = viewer?.range ?? [0, 0];
      const view = [Math.max(0, Math.floor(from)), Math.min(model.get("sequence").length, Math.ceil(to))];
      if (to > from && String(view) !== String(model.get("view"))) send({ view });
    };
    const gone = ({ reveal, zoom }) => {
      if (reveal) viewer.reveal(...reveal);
      if (zoom) viewer.zoomTo(...zoom);
    };
    const mark = () => {
      const [back, ahead] = model.get("reach");
      const cursor = model.get("cursor");
      const span = cursor !== null && back + ahead ? [cursor - back, cursor + 1 + ahead] : null;
      viewer.mark({ base: cursor, partner: model.get("partner"), selection: stretch(model.get("selection")), span });
      readout.textContent = model.get("note");
    };
    const draw = () => {
      const values = model.get("values");
      const names = ["sequence", "annotations", "origin", "origin_name"].map((name) => [name, model.get(name)]);
      const lanes = intoRows(model.get("lanes"), model.get("starts"), model.get("sequence").length);
      const view = { ...Object.fromEntries(names), lanes, changed: new Set(model.get("changed")) };
      viewer.draw(view, values.byteLength ? new Float32Array(bytes(values).buffer) : null);
      mark();
    };
    /* What costs the kernel time is asked for when the pointer rests, not on every move. */
    let resting = null;
    const moved = () => {
      clearTimeout(resting);
      resting = setTimeout(() => {
        state.send({ rested: { cursor: model.get("cursor"), selection: stretch(model.get("selection")) } });
      }, REST);
    };
    const pressed = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      const letter = event.key.toUpperCase();
      const [cursor, selection] = [model.get("cursor"), stretch(model.get("selection"))];
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (step) send({ cursor: clamp((cursor ?? 0) + step) });
      else if (event.key === "Escape") send({ pinned: false, partner: null, selection: null });
      else if (event.key === "z" && selection) viewer.zoomTo(...selection);
      else if (model.get("letters").includes(letter) && cursor !== null) state.send({ mutate: [cursor, letter] });
      else return;
      event.preventDefault();
      event.stopPropagation(); // the notebook has keys of its own
      if (step) viewer.reveal(model.get("cursor"));
    };
    el.replaceChildren(state.node, body, readout);
    const stops = hosted(el, draw);
    draw();
    el.addEventListener("keydown", pressed);
    model.on("msg:custom", gone);
    for (const name of ["sequence", "values", "annotations", "changed", "starts"]) model.on(`change:${name}`, draw);
    for (const name of ["cursor", "partner", "selection", "reach", "note"]) model.on(`change:${name}`, mark);
    for (const name of ["cursor", "selection"]) model.on(`change:${name}`, moved);
    const deaf = () => model.off("msg:custom", gone);
    return () => [...stops, state.stop, deaf].forEach((stop) => stop());
  },
};
