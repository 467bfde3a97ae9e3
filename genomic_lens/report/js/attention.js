/* The lens, part 4: hidden attention as a map, and one row of it as bars. */

const SHADES = { root: Math.sqrt, linear: (part) => part };
const SHADE_WORDS = { root: "square root", linear: "linear" };
const PATH_WORDS = { value: "value (gates held)", gates: "gates alone", full: "full Jacobian" };

/* From a value, as a fraction of the peak, to a colour: viridis for norms; for signed values one of two colours, the
 * stronger the more opaque, so that 0 has none. */
function painter(lens, kind, shade) {
  const style = getComputedStyle(lens.element);
  const [up, down] = ["--gl-positive", "--gl-negative"].map((name) => style.getPropertyValue(name).trim());
  const { viridis } = lens.payload;
  return (part) => {
    const level = shade(Math.min(1, Math.abs(part)));
    if (kind === "signed") return `rgb(${part < 0 ? down : up} / ${level})`;
    return `rgb(${viridis[Math.round(255 * level)].join(" ")})`;
  };
}

/* Slanted strokes, for what is masked. */
function hatching(pen, colour) {
  const tile = make("canvas", { width: 8, height: 8 });
  const brush = tile.getContext("2d");
  brush.strokeStyle = colour;
  for (const shift of [0, 8, 16]) {
    brush.moveTo(shift - 9, 9);
    brush.lineTo(shift + 1, -1);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

/* Cells as a picture; those ahead of the row of a causal map stay empty, masked ones are hatched. */
function mapPicture(lens, record, map, paint) {
  const [rows, columns] = map.shape;
  const size = Math.max(4, Math.ceil(800 / Math.max(rows, columns)));
  const canvas = make("canvas", { width: columns * size, height: rows * size });
  const pen = canvas.getContext("2d");
  const masked = hatching(pen, getComputedStyle(lens.element).getPropertyValue("--jp-ui-font-color2"));
  map.values.forEach((value, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const rowStop = record.rows[0] + (row + 1) * record.bins[0];
    if (record.causal && record.columns[0] + column * record.bins[1] >= rowStop) return;
    pen.fillStyle = Number.isFinite(value) ? paint(value / (map.peak || 1)) : masked;
    pen.fillRect(column * size, row * size, size, size);
  });
  return canvas.toDataURL();
}

function legend(kind, peak, paint, shade, x, top, bottom) {
  const low = kind === "signed" ? -1 : 0;
  const steps = 64;
  const at = scale(low, 1, bottom, top);
  const height = (bottom - top) / steps;
  const inverse = shade(0.25) === 0.5 ? (level) => level ** 2 : (level) => level;
  const cells = times(steps, (index) => {
    const level = low + ((index + 0.5) / steps) * (1 - low);
    const cell = box(x, bottom - (index + 1) * height, 10, height + 0.3, "");
    cell.style.fill = paint(Math.sign(level) * inverse(Math.abs(level)));
    return cell;
  });
  const values = low < 0 ? [-1, -0.25, 0, 0.25, 1] : [0, 0.1, 0.25, 0.5, 1];
  const marks = values.flatMap((value) => {
    const y = at(Math.sign(value) * shade(Math.abs(value)));
    return [line(x + 10, y, x + 13, y, "gl-axis"), text(x + 16, y + 4, number(value * peak))];
  });
  const name = low < 0 ? "signed" : "norm";
  return [cells, box(x, top, 10, bottom - top, "gl-edge"), marks, text(x, top - 10, name, "gl-soft")];
}

function attentionPanel(lens) {
  const sentence = "A row is a base after this layer; bright cells are the bases before the layer that it draws on.";
  const frame = panel("attention", "hidden attention", sentence);
  const fields = [["layer", "layer"], ["path", "path", PATH_WORDS], ["kind", "cells", {}, true]];
  const pick = choosers(lens, frame, fields);
  const pickShade = choosers(lens, frame, [["shade", "colours", SHADE_WORDS]]);
  const [chart, profile] = [make("div"), make("div")];
  const within = (base, [start, stop]) => base !== null && base >= start && base < stop;
  let record, map, x, y, row, column, other, reach;

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
    const [top, left] = [24, LEFT];
    const room = widthOf(frame.body);
    const side = Math.min(room - left - 76, room > 700 ? 480 : 400);
    const [tall, wide] = [record.rows, record.columns].map(([start, stop]) => stop - start);
    const height = Math.max(120, Math.min(side, (side * tall) / wide));
    const [right, bottom] = [left + side, top + height];
    x = scale(...record.columns, left, right);
    y = scale(...record.rows, top, bottom);
    row = hairline(left, right, "gl-cursor", false);
    [column, other] = [hairline(top, bottom), hairline(top, bottom, "gl-cursor gl-partner")];
    reach = make("rect", { class: "gl-reach" });
    const paint = painter(lens, record.kind, shade);
    const [farRow, farColumn] = [0, 1].map((axis) => map.shape[axis] * record.bins[axis]);
    const picture = make("image", { href: mapPicture(lens, record, map, paint), x: left, y: top, class: "gl-map",
      width: x(record.columns[0] + farColumn) - left, height: y(record.rows[0] + farRow) - top,
      preserveAspectRatio: "none" });
    const drawing = sheet(chart, bottom + 38, `Map of layer ${record.layer}, path ${record.path}`, picture,
      box(left, top, side, height, "gl-edge"), borders(left, right, top, bottom), column.node, other.node, row.node,
      reach, text(left, 12, "↓ base that looks", "gl-soft"),
      leftAxis(record.rows[0], record.rows[1] - 1, y, left, { middle: 0.5 }),
      bottomAxis(...record.columns, x, bottom, { name: "base looked at" }),
      legend(record.kind, map.peak, paint, shade, right + 16, top, bottom));
    const rowAt = (py) => Math.floor(record.rows[0] + ((py - top) / height) * tall);
    const columnAt = (px) => Math.floor(record.columns[0] + ((px - left) / side) * wide);
    const over = (px, py) => px >= left && px < right && py >= top && py < bottom;
    follow(drawing, (px, py) => over(px, py) && lens.point(rowAt(py), columnAt(px)),
      (px, py) => over(px, py) && lens.pin(rowAt(py)));
  }
  function borders(left, right, top, bottom) {
    const { origin } = lens.view();
    return [within(origin, record.columns) ? line(x(origin), top, x(origin), bottom, "gl-origin gl-over") : null,
      within(origin, record.rows) ? line(left, y(origin), right, y(origin), "gl-origin gl-over") : null];
  }
  /* The row at the cursor as bars on the map's own axis. */
  function drawProfile(values, best) {
    const range = extent(values);
    const height = scale(...range, 68, 18);
    const bars = times(values.length, (index) => {
      const [from, to] = [x(baseOf(index)), x(Math.min(baseOf(index) + record.bins[1], record.columns[1]))];
      if (!Number.isFinite(values[index])) return hatch(from, 44, to - from, 24);
      const picked = index === best || (lens.partner !== null && cellOf(lens.partner) === index);
      const [low, high] = [height(0), height(values[index])].sort((one, two) => one - two);
      return box(from + 0.5, low, Math.max(to - from - 1, 0.5), high - low, picked ? "gl-bar gl-picked" : "gl-bar");
    });
    const end = x(record.columns[1]);
    const name = text(LEFT, 12, `row ${whole(lens.base)}`, "gl-soft");
    const drawing = sheet(profile, 74, `Row ${lens.base} of the map`, name,
      line(LEFT, height(0), end, height(0), "gl-axis"), bars, leftAxis(...range, height, LEFT, { gap: 20 }));
    const wide = record.columns[1] - record.columns[0];
    const base = (px) => record.columns[0] + Math.floor(((px - LEFT) / (end - LEFT)) * wide);
    follow(drawing, (px) => lens.point(lens.base, base(px)), () => lens.pin(lens.base));
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
    row.move(lens.base, y, ...record.rows);
    column.move(lens.base, x, ...record.columns);
    other.move(lens.partner, x, ...record.columns);
    profile.style.visibility = seen ? "" : "hidden";
    reach.style.visibility = seen && lens.layer === record.layer ? "" : "hidden";
    if (!seen) return frame.say(lens.base, `Base ${whole(lens.base)} lies outside this map.`);
    const from = Math.max(record.columns[0], lens.base - lens.reach[0]);
    const to = Math.min(record.columns[1], lens.base + 1 + lens.reach[1]);
    const high = y(lens.base);
    assign(reach, { x: x(from), width: Math.max(0, x(to) - x(from)), y: high, height: y(lens.base + 1) - high });
    const values = cells(lens.base);
    const best = indexOfLargest(values.map((value) => (Number.isFinite(value) ? Math.abs(value) : 0)));
    drawProfile(values, best);
    return frame.say(lens.base, sayRow(values, best));
  }
  return { ...frame, draw, mark };
}
