/* The lens, part 9: one sequence, many panels, one cursor. The parts, joined in order, are one module without imports:
 *
 *   render(element, payload, { start, changed, keys }) -> Promise of { go, destroy }
 *
 * draws everything below `element` and keeps nothing elsewhere. `payload` is what Lens.payload() gives in Python.
 * `start` and `go` take { sequence, base }; `changed` hears { sequence, base, pinned }; `keys` is where key strokes are
 * heard. Positions are bases, counted from 0. */

/* Sequence, verdict, and what is at the cursor. */
function header(lens) {
  const { views, title } = lens.payload;
  const part = (kind, ...children) => make("div", { class: `gl-${kind}` }, ...children);
  const select = make("select", { "aria-label": "Sequence" },
    views.map((view, index) => make("option", { value: index }, view.name)));
  select.addEventListener("change", () => lens.go({ sequence: Number(select.value) }));
  const button = (label, words, step) => {
    const look = { type: "button", "aria-label": label, title: label, disabled: views.length < 2 };
    const node = make("button", look, words);
    const turn = () => lens.go({ sequence: (lens.sequence + step + views.length) % views.length });
    node.addEventListener("click", turn);
    return node;
  };
  const safe = make("input", { type: "checkbox" });
  safe.addEventListener("change", () => lens.element.classList.toggle("gl-safe", safe.checked));
  const [count, verdict, status] = [make("span", { class: "gl-count" }), part("verdict"), part("status")];
  const [back, next] = [button("Previous sequence", "‹", -1), button("Next sequence", "›", 1)];
  const picker = part("picker", back, select, next, count);
  const name = make("strong", { class: "gl-title" }, title || "genomic_lens");
  const colours = make("label", { class: "gl-colours" }, safe, make("span", {}, "colour-blind safe"));
  const hint = make("span", { class: "gl-hint" }, "← → move, click pins, drag selects, wheel zooms, Esc releases");
  const rows = [part("row", name, picker, verdict, colours), part("row", status, hint)];
  const node = make("header", { class: "gl-header" }, rows);
  function draw() {
    const { labels, probabilities, truth } = lens.view().prediction;
    const best = indexOfLargest(probabilities);
    const said = make("strong", {}, `${labels[best]} ${probabilities[best].toFixed(3)}`);
    const right = labels[best] === truth;
    const judged = make("span", { class: right ? "gl-good" : "gl-poor" }, right ? "✓" : "✗");
    select.value = lens.sequence;
    count.textContent = `${lens.sequence + 1} of ${views.length}`;
    const told = truth === null ? ["predicted ", said] : [`truth ${truth} · predicted `, said, " ", judged];
    verdict.replaceChildren(...told);
  }
  function mark() {
    const words = lens.sentence();
    status.dataset.cursor = lens.base;
    status.replaceChildren(words, ...(lens.pinned ? [make("span", { class: "gl-badge" }, "pinned")] : []));
    assign(lens.slider, { "aria-valuenow": lens.base, "aria-valuetext": words });
  }
  return { node, draw, mark };
}

/* What the panels share: the records, the cursor, and words for a base. */
function shared(element, payload, read) {
  const lens = { element, payload, read, sequence: 0, base: 0, partner: null, pinned: false, selection: null };
  Object.assign(lens, { wanted: {}, reach: [0, 0], layer: null, attribution: null, slider: null });
  lens.view = () => payload.views[lens.sequence];
  lens.word = (base, name = "base") => `${name} ${whole(base)} (${lens.view().sequence[base]})`;
  lens.relative = (base) => {
    const { origin } = lens.view();
    if (origin === null) return null;
    return base < origin ? whole(base - origin) : `+${whole(base - origin + 1)}`;
  };
  lens.contribution = () => {
    if (!lens.attribution) return [];
    const { values, spread } = lens.attribution;
    const value = read(values).values[lens.base];
    const around = spread ? ` ± ${number(read(spread).values[lens.base])}` : "";
    return [Number.isFinite(value) ? `contribution ${number(value, true)}${around}` : "masked"];
  };
  lens.selected = () => {
    if (!lens.selection) return [];
    const [start, stop] = lens.selection;
    const values = lens.attribution ? [...lens.read(lens.attribution.values).values.slice(start, stop)] : [];
    const total = values.filter(Number.isFinite).reduce((sum, value) => sum + value, 0);
    const sum = values.length ? ` add ${number(total, true)}` : "";
    return [`bases ${whole(start)}–${whole(stop - 1)}${sum}`];
  };
  lens.sentence = () => {
    const { sequence, origin, origin_name: name } = lens.view();
    const place = origin === null ? [] : [`${lens.relative(lens.base)} from the ${name}`];
    const here = [`base ${whole(lens.base)}`, sequence[lens.base], ...place, ...lens.contribution()];
    return [...here, ...lens.selected()].join(" · ");
  };
  return lens;
}

/* The few ways to move the cursor; each ends in mark(), those that change what is drawn in redraw(). */
function movable(lens, parts, changed) {
  const clamp = (base) => (base === null ? null : Math.max(0, Math.min(lens.view().sequence.length - 1, base)));
  const mark = (change) => {
    Object.assign(lens, change);
    for (const part of parts) part.mark();
    changed({ sequence: lens.sequence, base: lens.base, pinned: lens.pinned });
  };
  lens.move = (base, partner = null) => {
    mark({ base: clamp(base), partner: clamp(partner) });
    parts[0].reveal(lens.base);
  };
  lens.point = (base, partner) => {
    const change = { base: lens.pinned ? lens.base : clamp(base), partner: clamp(partner) };
    if (change.base !== lens.base || change.partner !== lens.partner) mark(change);
  };
  lens.pin = (base) => {
    lens.slider.focus({ preventScroll: true });
    const again = lens.pinned && clamp(base) === lens.base;
    mark(again ? { pinned: false } : { base: clamp(base), pinned: true });
  };
  lens.select = ([start, stop]) => mark({ selection: [clamp(start), clamp(stop - 1) + 1] });
  lens.release = () => mark({ pinned: false, partner: null, selection: null });
  lens.redraw = () => {
    const focused = lens.slider !== null && document.activeElement === lens.slider;
    for (const part of parts) part.draw();
    if (focused) lens.slider.focus({ preventScroll: true });
    lens.move(lens.base, lens.partner);
  };
  lens.go = ({ sequence = null, base = null }) => {
    if (sequence !== null && lens.payload.views[sequence]) {
      Object.assign(lens, { sequence, selection: null });
      lens.base = Math.min(lens.base, lens.view().sequence.length - 1);
    }
    if (base !== null) Object.assign(lens, { base, partner: null, pinned: true });
    lens.redraw();
  };
}

/* Left and right move the cursor, with Shift the base looked at; Escape releases it. The keys that would scroll the
 * page move it only while the track has the focus. */
function keystroke(lens, event) {
  const busy = event.target.matches?.("select, input, button, textarea");
  if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const last = lens.view().sequence.length - 1;
  const jumps = { PageUp: lens.base - 10, PageDown: lens.base + 10, Home: 0, End: last };
  if (event.key === "Escape") lens.release();
  else if (event.key === "z" && lens.selection) lens.zoomTo(...lens.selection);
  else if (step && event.shiftKey) lens.move(lens.base, (lens.partner ?? lens.base) + step);
  else if (step) lens.move(lens.base + step);
  else if (event.key in jumps && event.target === lens.slider) lens.move(jumps[event.key]);
  else return;
  event.preventDefault();
}

export async function render(element, payload, { start = {}, changed = () => {}, keys = element } = {}) {
  const lens = shared(element, payload, await reader(payload.arrays));
  const parts = [];
  movable(lens, parts, changed);
  const build = [trackPanel, predictionPanel, attentionPanel, filterPanel, substitutionPanel, motifPanel, header];
  parts.push(...build.map((one) => one(lens)));
  const [track, prediction, attention, filters, substitutions, motifs, head] = parts.map(({ node }) => node);
  element.replaceChildren(head, prediction, track, make("div", { class: "gl-two" }, attention, filters),
    substitutions, motifs);
  motifs.hidden = !payload.motifs.length;
  lens.zoomTo = parts[0].zoomTo;
  lens.base = Math.min(lens.view().origin ?? 0, lens.view().sequence.length - 1);
  const pressed = (event) => keystroke(lens, event);
  const stops = [followTheme(element, () => lens.redraw()), followWidth(element, () => lens.redraw())];
  lens.go(start);
  keys.addEventListener("keydown", pressed);
  const destroy = () => {
    stops.forEach((stop) => stop());
    keys.removeEventListener("keydown", pressed);
    element.replaceChildren();
  };
  return { go: lens.go, destroy };
}
