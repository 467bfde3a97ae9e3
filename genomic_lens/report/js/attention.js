/* The lens, part 5: hidden attention as a map, and one row of it as bars. */

const SHADE_WORDS = { root: "square root", linear: "linear" };
const PATH_WORDS = { value: "value (gates held)", gates: "gates alone", full: "full Jacobian" };

/* A map that lies in the page, at one level. */
function storedSource({ rows, columns, bins, kind, causal }, { codes, shape, peak }, viridis) {
  const tile = ([, row, column]) => {
    const [top, left] = [row * TILE, column * TILE];
    const [height, width] = [Math.min(TILE, shape[0] - top), Math.min(TILE, shape[1] - left)];
    const lines = times(height, (y) => [...codes.subarray((top + y) * shape[1] + left).subarray(0, width)]);
    return { codes: Uint8Array.from(lines.flat()), shape: [height, width], peak };
  };
  return { rows, columns, cell: bins, kind, causal, viridis, levels: 1, tile };
}

function attentionPanel(lens) {
  const sentence = "A row is a base after this layer; bright cells are the bases before the layer that it draws on.";
  const frame = panel("attention", "hidden attention", sentence);
  const fields = [["layer", "layer"], ["path", "path", PATH_WORDS], ["kind", "cells", {}, true]];
  const pick = choosers(lens, frame, fields);
  const pickShade = choosers(lens, frame, [["shade", "colours", SHADE_WORDS]]);
  const [chart, profile] = [make("div", { class: "gl-stack" }), make("div")];
  const within = (base, [start, stop]) => base !== null && base >= start && base < stop;
  let record, map, viewer;

  const cells = (base) => {
    const at = Math.floor((base - record.rows[0]) / record.bins[0]) * map.shape[1];
    return map.values.subarray(at, at + map.shape[1]);
  };
  const cellOf = (base) => Math.floor((base - record.columns[0]) / record.bins[1]);
  const baseOf = (cell) => Math.floor(record.columns[0] + cell * record.bins[1]);

  function draw() {
    record = pick(lens.view().attention);
    const look = pickShade(record ? Object.keys(SHADES).map((name) => ({ shade: name })) : []);
    if (!record) return frame.refuse("No hidden attention was computed for this sequence.");
    map = lens.read(record.weights);
    frame.body.replaceChildren(chart, profile);
    drawMap(SHADES[look.shade]);
    const size = Math.max(...record.bins) > 1 ? ` A cell holds ${record.bins.map(round).join(" × ")} bases.` : "";
    const blank = record.causal ? " Blank: no base draws on bases ahead of it." : "";
    const share = make("strong", {}, `shows ${percent(record.share)} of the Jacobian`);
    const ratio = " (ratio of Frobenius norms on this window; paths do not add up).";
    return frame.foot.replaceChildren(share, `${ratio}${size}${blank}`);
  }
  function drawMap(shade) {
    const before = viewer;
    const label = `Map of layer ${record.layer}, path ${record.path}`;
    const { origin, sequence } = lens.view();
    const letterOf = (base) => sequence[base];
    const pointed = ([row, column]) => lens.point(row, column);
    const clicked = ([row]) => lens.pin(row);
    const source = storedSource(record, map, lens.payload.viridis);
    viewer = tilesViewer(lens.element, chart, source, { label, origin, letterOf, pointed, clicked, before });
    viewer.draw(shade);
  }
  /* The row at the cursor as bars on the map's own axis. */
  function drawProfile(values, best) {
    const { x } = viewer;
    const range = extent(values);
    const height = scale(...range, 68, 18);
    const bars = times(values.length, (index) => {
      const [from, to] = [x(baseOf(index)), x(Math.min(baseOf(index) + record.bins[1], record.columns[1]))];
      if (!Number.isFinite(values[index])) return hatch(from, 44, to - from, 24);
      const picked = index === best || (lens.partner !== null && cellOf(lens.partner) === index);
      const [low, high] = [height(0), height(values[index])].sort((one, two) => one - two);
      return box(from + 0.5, low, Math.max(to - from - 1, 0.5), high - low, picked ? "gl-bar gl-picked" : "gl-bar");
    });
    const { left, right } = viewer.place;
    const clip = clipped(box(left, 0, right - left, 74, ""));
    const name = text(LEFT, 12, `row ${whole(lens.base)}`, "gl-soft");
    const drawing = sheet(profile, 74, `Row ${lens.base} of the map`, name, clip.node,
      line(left, height(0), right, height(0), "gl-axis"), make("g", clip.by, bars),
      leftAxis(...range, height, LEFT, { gap: 20 }));
    follow(drawing, (px) => lens.point(lens.base, Math.floor(x.invert(px))), () => lens.pin(lens.base));
  }
  function sayRow(values, best) {
    const { base, partner } = lens;
    if (!(Math.abs(values[best]) > 0)) return `${lens.word(base, "Base")} draws on nothing in this map.`;
    const place = (cell) => (record.bins[1] > 1 ? `bases ${whole(baseOf(cell))}–${whole(baseOf(cell + 1) - 1)}`
      : lens.word(baseOf(cell)));
    const told = (cell) => `${place(cell)}: ${number(values[cell])}`;
    const rest = values.map((value, index) => (index === best || !Number.isFinite(value) ? 0 : Math.abs(value)));
    const next = indexOfLargest(rest);
    const then = rest[next] > 0 ? `, then on ${told(next)}` : " alone";
    const words = cellOf(base) === best ? `itself: ${number(values[best])}${then}` : told(best);
    const more = within(partner, record.columns) ? ` On ${told(cellOf(partner))}.` : "";
    return `${lens.word(base, "Base")} draws most on ${words}.${more}`;
  }
  function mark() {
    if (!record) return frame.say(lens.base, "");
    const seen = within(lens.base, record.rows);
    const drawn = seen && lens.layer === record.layer && (lens.reach[0] || lens.reach[1]);
    const span = [Math.max(record.columns[0], lens.base - lens.reach[0]),
      Math.min(record.columns[1], lens.base + 1 + lens.reach[1])];
    viewer.mark({ base: lens.base, partner: lens.partner, span: drawn ? span : null, selection: lens.selection });
    profile.style.visibility = seen ? "" : "hidden";
    if (!seen) return frame.say(lens.base, `Base ${whole(lens.base)} lies outside this map.`);
    const values = cells(lens.base);
    const best = indexOfLargest(values.map((value) => (Number.isFinite(value) ? Math.abs(value) : 0)));
    drawProfile(values, best);
    return frame.say(lens.base, sayRow(values, best));
  }
  return { ...frame, draw, mark };
}
