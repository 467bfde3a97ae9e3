/* The lens, part 2 of 3: the panels. Each is built once from the lens, redrawn by draw() when the sequence, a choice or
 * the width changes, and told by mark() that the cursor moved. */

const LEFT = 52; // pixels left of a drawing's data, for the axis
const LONGEST = 200; // bases that are drawn as letters; longer sequences as bars

// what panels share

/* The frame: title, one sentence, controls; drawing; what is at the cursor; honesty figure. */
function panel(name, title, sentence) {
  const part = (kind) => make("div", { class: `gl-${kind}` });
  const frame = { title, controls: part("controls"), body: part("body"), readout: part("readout"), foot: part("foot") };
  const head = make("div", { class: "gl-head" }, make("h3", {}, title), make("p", { class: "gl-words" }, sentence),
    frame.controls);
  const look = { class: `gl-panel gl-${name}`, "aria-label": title };
  frame.node = make("section", look, head, frame.body, frame.readout, frame.foot);
  frame.say = (base, words) => {
    frame.readout.dataset.cursor = base;
    frame.readout.textContent = words;
  };
  frame.refuse = (why) => {
    frame.body.replaceChildren(make("p", { class: "gl-none" }, why));
    frame.foot.replaceChildren();
  };
  return frame;
}

/* One select a field [key, label, words]. Gives a function from records to the chosen one; each field offers what the
 * fields before it have left. A field with one value is plain text, one without words for it is hidden. */
function choosers(frame, fields, changed) {
  const wanted = {};
  const selects = fields.map(([key, label, words = {}]) => {
    const select = make("select", { "aria-label": `${frame.title}: ${label}` });
    select.addEventListener("change", () => {
      wanted[key] = select.value;
      changed();
    });
    frame.controls.append(make("label", {}, make("span", {}, label), select));
    return { key, words, select };
  });
  return (records) => {
    let left = records;
    for (const { key, words, select } of selects) {
      const values = [...new Set(left.map((record) => String(record[key])))];
      const value = values.includes(wanted[key]) ? wanted[key] : values[0];
      const option = (item) => make("option", { value: item, selected: item === value }, words[item] ?? item);
      select.replaceChildren(...values.map(option));
      select.disabled = values.length < 2;
      select.parentNode.hidden = !values.length || (select.disabled && words[value] === "");
      left = left.filter((record) => String(record[key]) === value);
    }
    return left[0] ?? null;
  };
}

// prediction

function classRow(label, value, best, truth, note) {
  const fill = make("div", { class: "gl-fill" });
  fill.style.width = `${100 * value}%`;
  const range = { "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": value.toFixed(3) };
  const meter = make("div", { class: "gl-meter", role: "meter", "aria-label": label, ...range }, fill);
  const name = make("span", { class: "gl-name" }, label, truth ? make("span", { class: "gl-badge" }, "truth") : null);
  const figure = make("span", { class: "gl-value" }, value.toFixed(3));
  return make("div", { class: best ? "gl-class gl-best" : "gl-class" }, name, meter, figure, note);
}

function predictionPanel(lens) {
  const sentence = "Probability of each class, and what the base at the cursor adds to it.";
  const frame = panel("prediction", "prediction", sentence);
  const model = make("span", {});
  frame.controls.append(model);
  let notes = [];
  function draw() {
    const { labels, probabilities, truth, model: name } = lens.view().prediction;
    const best = indexOfLargest(probabilities);
    notes = labels.map(() => make("span", { class: "gl-adds" }));
    const row = (label, index) => classRow(label, probabilities[index], index === best, label === truth, notes[index]);
    frame.body.replaceChildren(...labels.map(row));
    model.textContent = name ? `model ${name}` : "";
  }
  function mark() {
    const { method, baseline } = lens.attribution ?? {};
    const alike = lens.view().attributions.filter((item) => item.method === method && item.baseline === baseline);
    lens.view().prediction.labels.forEach((label, index) => {
      const record = alike.find((item) => item.target === label);
      const value = record ? lens.read(record.values).values[lens.base] : NaN;
      notes[index].dataset.cursor = lens.base;
      notes[index].textContent = Number.isFinite(value) ? `${number(value, true)} from base ${whole(lens.base)}` : "";
    });
  }
  return { ...frame, draw, mark };
}

// track

/* Annotations with the lane of each, in as few lanes as hold them and their names without overlap. */
function intoLanes(annotations, x) {
  const ends = [];
  return annotations.map((item) => {
    const words = item.name.length * 6.6 + 12;
    const inside = ["exon", "intron"].includes(item.kind) && words < x(item.stop) - x(item.start);
    const free = ends.findIndex((taken) => taken <= x(item.start) + 0.5);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = x(item.stop) + (inside ? 0 : words);
    return { ...item, lane, inside };
  });
}

const MARKS = {
  exon: (left, right, top, tip) => make("path", { class: "gl-exon", d: tip < 0
    ? `M${left - tip} ${top + 1}H${right}V${top + 15}H${left - tip}L${left} ${top + 8}Z`
    : `M${left} ${top + 1}H${right - tip}L${right} ${top + 8}L${right - tip} ${top + 15}H${left}Z` }),
  intron: (left, right, top, tip) => {
    const at = tip < 0 ? left : right;
    const head = `M${at - tip} ${top + 4}L${at} ${top + 8}L${at - tip} ${top + 12}`;
    return make("path", { class: "gl-intron", d: `M${left} ${top + 8}H${right}${tip ? head : ""}` });
  },
  site: (left, right, top) => box(left + 0.5, top + 2.5, Math.max(right - left - 1, 3), 11, "gl-site"),
  other: (left, right, top) => box(left, top + 5, right - left, 6, "gl-region"),
};
MARKS.motif = MARKS.site;

function annotationMark(item, x, top) {
  const [left, right] = [x(item.start), x(item.stop)];
  const tip = { "+": 5, "-": -5 }[item.strand] ?? 0;
  const label = item.inside
    ? text((left + right) / 2, top + 12, item.name, `gl-middle gl-on-${item.kind}`)
    : text(right + 6, top + 12, item.name);
  const span = `bases ${whole(item.start)} to ${whole(item.stop - 1)}`;
  const told = make("title", {}, `${item.name}, ${item.kind}, ${span}, strand ${item.strand}`);
  return make("g", {}, told, (MARKS[item.kind] ?? MARKS.other)(left, right, top, tip), label);
}

/* The origin as a dashed line, with positions counted from it. */
function originMarks({ origin, origin_name: name, sequence }, x, top, bottom) {
  if (origin === null) return [];
  const cell = x(1) - x(0);
  const room = name.length * 3.4 + 24;
  const step = ticks(0, 50 / cell, 1).at(-1) || 1;
  const counted = times(Math.floor(sequence.length / step), (index) => (index + 1) * step).flatMap((shift) => [
    [origin - shift, `−${whole(shift)}`], [origin + shift - 1, `+${whole(shift)}`],
  ]);
  const shown = counted.filter(([base]) => base >= 0 && base < sequence.length && Math.abs(base - origin) * cell > room);
  const marks = shown.map(([base, words]) => text(x(base + 0.5), top - 4, words, "gl-middle gl-soft"));
  return [line(x(origin), top, x(origin), bottom, "gl-origin"), text(x(origin), top - 4, name, "gl-middle"), ...marks];
}

/* Contributions as letters, masked bases hatched. */
function letterMarks(sequence, values, x, y) {
  const cell = x(1) - x(0);
  return [...sequence].map((letter, base) => {
    const [value, tip] = [values[base], y(values[base])];
    if (!Number.isFinite(value)) return hatch(x(base), y(0) - 12, cell, 24);
    const height = Math.abs(tip - y(0));
    return height < 0.5 ? null : glyph(letter, x(base), Math.min(tip, y(0)), cell, height, value < 0);
  });
}

/* The same as bars: one path a letter, however long the sequence is. */
function barMarks(sequence, values, x, y) {
  const paths = {};
  const cell = Math.max(x(1) - x(0), 0.6).toFixed(2);
  [...sequence].forEach((letter, base) => {
    if (!Number.isFinite(values[base])) return;
    const look = `gl-base-${kindOf(letter)}${values[base] < 0 ? " gl-below" : ""}`;
    const bar = `M${x(base).toFixed(2)} ${y(0).toFixed(1)}V${y(values[base]).toFixed(1)}h${cell}V${y(0).toFixed(1)}Z`;
    paths[look] = (paths[look] ?? "") + bar;
  });
  return Object.entries(paths).map(([look, d]) => make("path", { d, class: look }));
}

/* Whether the contributions add up, and from where to where. */
function addsUp(record) {
  const missing = 100 * record.gap;
  const digits = Math.max(0, Math.ceil(-Math.log10(missing || 1)));
  const share = missing > 0 && digits > 5 ? "> 99.99999 %" : `${(100 - missing).toFixed(digits)} %`;
  const good = record.gap <= 1e-3;
  const words = good ? `✓ adds up to ${share}` : `! adds up to ${share} only`;
  const references = record.references > 1 ? ` × ${record.references}` : "";
  const from = `${number(record.reference_output)} (baseline: ${record.baseline}${references})`;
  return [make("strong", { class: good ? "gl-good" : "gl-poor" }, words),
    ` of the step from ${from} to ${number(record.output)} (this sequence). Method: ${record.method}.`];
}

function trackPanel(lens) {
  const sentence = "How much each base pushes the output up, or down (upside-down, lighter), against the baseline.";
  const frame = panel("track", "track", sentence);
  const fields = [["target", "output"], ["method", "method"], ["baseline", "baseline"]];
  const pick = choosers(frame, fields, lens.redraw);
  let x, cursor, other, reach, length, floor;

  /* Letters, axis and zero line of the chosen attribution. */
  function contributions(record, sequence, high, low) {
    if (!record) return [];
    const { values } = lens.read(record.values);
    const range = extent(values);
    const y = scale(...range, low, high);
    const marks = (length <= LONGEST ? letterMarks : barMarks)(sequence, values, x, y);
    return [leftAxis(...range, y, LEFT - 4), line(LEFT, y(0), x(length), y(0), "gl-axis"), marks];
  }
  function draw() {
    const view = lens.view();
    const record = (lens.attribution = pick(view.attributions));
    length = view.sequence.length;
    x = scale(0, length, LEFT, widthOf(frame.body) - 12);
    const notes = intoLanes(view.annotations, x);
    const top = 20;
    const high = top + 8 + 20 * Math.max(0, ...notes.map((item) => item.lane + 1));
    const low = high + (record ? 140 : 4);
    const spelled = x(1) - x(0) >= 7 ? [...view.sequence].map((base, at) => spell(base, x(at + 0.5), low + 18)) : [];
    floor = low + (spelled.length ? 32 : 14);
    [cursor, other] = [hairline(top, floor), hairline(top, floor, "gl-cursor gl-partner")];
    reach = make("path", { class: "gl-reach" });
    lens.slider = sheet(frame.body, floor + 38, "Cursor along the bases", cursor.node, other.node,
      originMarks(view, x, top, floor), notes.map((item) => annotationMark(item, x, top + 4 + 20 * item.lane)),
      contributions(record, view.sequence, high, low), spelled, reach,
      bottomAxis(0, length, x, floor, { name: "base, counted from 0; 5′ to 3′ on the strand that was given" }));
    assign(lens.slider, { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": length - 1 });
    const base = (at) => Math.floor((at - LEFT) / (x(1) - x(0)));
    follow(lens.slider, (at) => lens.point(base(at), null), (at) => lens.pin(base(at)));
    frame.foot.replaceChildren(...(record ? addsUp(record) : ["No attribution was computed for this sequence."]));
  }
  function mark() {
    cursor.move(lens.base, x, 0, length);
    other.move(lens.partner, x, 0, length);
    const [back, ahead] = lens.reach;
    const [from, to] = [Math.max(0, lens.base - back), Math.min(length, lens.base + 1 + ahead)];
    reach.setAttribute("d", back + ahead ? `M${x(from)} ${floor - 6}v4H${x(to)}v-4` : "");
    const size = [back && `${bases(back)} back`, ahead && `${bases(ahead)} ahead`].filter(Boolean).join(" and ");
    frame.say(lens.base, size ? `Bracket: the median filter of layer ${lens.layer} reaches ${size} from here.` : "");
  }
  return { ...frame, draw, mark };
}

// hidden attention

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

/* Cells as a picture; those ahead of the row of a causal map stay empty, masked ones are hatched. */
function mapPicture(lens, record, map, paint) {
  const [rows, columns] = map.shape;
  const size = Math.max(4, Math.ceil(800 / Math.max(rows, columns)));
  const canvas = make("canvas", { width: columns * size, height: rows * size });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = getComputedStyle(lens.element).getPropertyValue("--jp-ui-font-color2");
  map.values.forEach((value, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const rowStop = record.rows[0] + (row + 1) * record.bins[0];
    if (record.causal && record.columns[0] + column * record.bins[1] >= rowStop) return;
    if (Number.isFinite(value)) {
      pen.fillStyle = paint(value / (map.peak || 1));
      pen.fillRect(column * size, row * size, size, size);
      return;
    }
    pen.beginPath();
    for (let shift = 0; shift < size; shift += 8) {
      pen.moveTo(column * size, (row + 1) * size - shift);
      pen.lineTo((column + 1) * size - shift, row * size);
    }
    pen.stroke();
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
  const fields = [["layer", "layer"], ["path", "path", PATH_WORDS], ["kind", "cells", { norm: "", signed: "" }]];
  const pick = choosers(frame, fields, lens.redraw);
  const pickShade = choosers(frame, [["shade", "colours", SHADE_WORDS]], lens.redraw);
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
    const { shade } = pickShade(Object.keys(SHADES).map((name) => ({ shade: name })));
    if (!record) return frame.refuse("No hidden attention was computed for this sequence.");
    map = lens.read(record.weights);
    frame.body.replaceChildren(chart, profile);
    drawMap(SHADES[shade]);
    const size = record.bins.some((bin) => bin > 1) ? ` A cell holds ${record.bins.map(round).join(" × ")} bases.` : "";
    const blank = record.causal ? " Blank: no base draws on bases ahead of it." : "";
    const share = make("strong", {}, `shows ${percent(record.share)} of the Jacobian`);
    const ratio = " (ratio of Frobenius norms on this window; paths do not add up).";
    return frame.foot.replaceChildren(share, `${ratio}${size}${blank}`);
  }
  function drawMap(shade) {
    const [top, left] = [24, LEFT];
    const side = Math.min(widthOf(frame.body) - left - 76, 400);
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
      reach, text(left, 12, "↓ base that looks", "gl-soft"), leftAxis(record.rows[0], record.rows[1] - 1, y, left,
        { middle: 0.5 }), bottomAxis(...record.columns, x, bottom, { name: "base looked at" }),
      legend(record.kind, map.peak, paint, shade, right + 16, top, bottom));
    const at = (px, py) => [record.rows[0] + ((py - top) / height) * tall, record.columns[0] + ((px - left) / side) * wide];
    const over = (px, py) => px >= left && px < right && py >= top && py < bottom;
    follow(drawing, (px, py) => over(px, py) && lens.point(...at(px, py).map(Math.floor)),
      (px, py) => over(px, py) && lens.pin(Math.floor(at(px, py)[0])));
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
      const [from, to] = [baseOf(index), baseOf(index) + record.bins[1]].map((base) => x(Math.min(base, record.columns[1])));
      if (!Number.isFinite(values[index])) return hatch(from, 44, to - from, 24);
      const picked = index === best || (lens.partner !== null && cellOf(lens.partner) === index);
      const [low, high] = [height(0), height(values[index])].sort((one, two) => one - two);
      return box(from + 0.5, low, Math.max(to - from - 1, 0.5), high - low, picked ? "gl-bar gl-picked" : "gl-bar");
    });
    const end = x(record.columns[1]);
    const drawing = sheet(profile, 74, `Row ${lens.base} of the map`, text(LEFT, 12, `row ${whole(lens.base)}`, "gl-soft"),
      line(LEFT, height(0), end, height(0), "gl-axis"), bars, leftAxis(...range, height, LEFT, { gap: 24 }));
    const wide = record.columns[1] - record.columns[0];
    const base = (px) => record.columns[0] + Math.floor(((px - LEFT) / (end - LEFT)) * wide);
    follow(drawing, (px) => lens.point(lens.base, base(px)), () => lens.pin(lens.base));
  }
  function sayRow(values, best) {
    const { base, partner } = lens;
    if (!(Math.abs(values[best]) > 0)) return `${lens.word(base, "Base")} draws on nothing in this map.`;
    const told = (index) => `${lens.word(baseOf(index))}: ${number(values[index])}`;
    const rest = values.map((value, index) => (index === best || !Number.isFinite(value) ? 0 : Math.abs(value)));
    const itself = cellOf(base) === best;
    const words = itself ? `itself: ${number(values[best])}, then on ${told(indexOfLargest(rest))}` : told(best);
    const more = within(partner, record.columns) ? ` On ${told(cellOf(partner))}.` : "";
    return `${lens.word(base, "Base")} draws most on ${words}.${more}`;
  }
  function mark() {
    if (!record) return frame.say(lens.base, "");
    const seen = within(lens.base, record.rows);
    row.move(lens.base, y, ...record.rows);
    column.move(lens.base, x, ...record.columns);
    other.move(lens.partner, x, ...record.columns);
    for (const node of [reach, profile]) node.style.visibility = seen ? "" : "hidden";
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

// filters

const SORT_WORDS = { reach: "longest reach", energy: "most energy" };

const trace = (xs, ys, x, y) =>
  `M${Array.from(ys, (value, index) => `${x(xs[index]).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`;

/* Curves of a few channels over the band of all; `xs` are the places of the samples. */
function curves(lens, record, kind, shown, xs, x, y) {
  const { values, shape } = lens.read(record[kind]);
  const band = lens.read(record[`${kind}_band`]).values;
  const [low, high] = [band.slice(0, shape[1]), band.slice(shape[1])];
  const back = trace([...xs].reverse(), [...low].reverse(), x, y).slice(1);
  const lines = shown.map((channel, rank) => {
    const at = record.channels.indexOf(channel) * shape[1];
    const d = trace(xs, values.subarray(at, at + shape[1]), x, y);
    return make("path", { d, class: `gl-curve gl-line-${rank}` });
  });
  return [make("path", { d: `${trace(xs, high, x, y)}L${back}Z`, class: "gl-band" }), ...lines.reverse()];
}

function filterPanel(lens) {
  const sentence = "How far back each channel of the layer listens, and to which rhythm along the sequence.";
  const frame = panel("filters", "filters", sentence);
  const pick = choosers(frame, [["layer", "layer"], ["index", "filter", { 0: "" }]], lens.redraw);
  const pickSort = choosers(frame, [["sort", "show", SORT_WORDS]], lens.redraw);
  const [key, impulse, pair] = ["key", "impulse", "pair"].map((name) => make("div", { class: `gl-${name}` }));
  const [spectrum, ranks] = [make("div"), make("div")];
  pair.append(spectrum, ranks);
  let record, shown, first, last, x, cursor, other, spelled;

  function draw() {
    record = pick(lens.payload.filters);
    const { sort } = pickSort(Object.keys(SORT_WORDS).map((name) => ({ sort: name })));
    lens.reach = [0, 0];
    if (!record) return frame.refuse("No filter bank came with this lens.");
    const reach = lens.read(record.reach).values;
    const middle = Math.round(median(reach));
    [first, last] = [Math.min(...record.lags), Math.max(...record.lags) + 1];
    lens.reach = [last > 1 ? middle : 0, first < 0 ? middle : 0];
    lens.layer = record.layer;
    shown = record.strongest[sort];
    frame.body.replaceChildren(key, impulse, pair);
    const words = (channel) => `channel ${channel}: ${bases(reach[channel])}`;
    key.replaceChildren(...shown.map((channel, rank) =>
      make("span", { class: `gl-line-${rank}` }, make("i"), words(channel))));
    drawImpulse();
    drawSpectrum();
    drawRanks(reach, middle);
    const told = make("strong", {}, `median reach ${bases(middle)}`);
    const rest = ` (95 % of a filter's energy lies within). ${shown.length} of ${reach.length} channels, the band spans all.`;
    return frame.foot.replaceChildren(told, rest);
  }
  function drawImpulse() {
    const [top, bottom, right] = [20, 176, widthOf(impulse) - 8];
    const range = extent(lens.read(record.impulse_band).values);
    x = scale(first, last, LEFT, right);
    const y = scale(...range, bottom, top);
    [cursor, other] = [hairline(top, bottom + 20), hairline(top, bottom + 20, "gl-cursor gl-partner")];
    spelled = make("g");
    const lags = record.lags.map((lag) => lag + 0.5);
    const drawing = sheet(impulse, bottom + 58, "Impulse responses", cursor.node, other.node,
      text(LEFT, 12, "impulse response", "gl-soft"), line(LEFT, y(0), right, y(0), "gl-axis"),
      curves(lens, record, "impulse", shown, lags, x, y), leftAxis(...range, y, LEFT - 4), spelled,
      bottomAxis(first, last, x, bottom + 20, { name: "bases back from the cursor" }));
    const lag = (px) => Math.floor(first + ((px - LEFT) / (right - LEFT)) * (last - first));
    follow(drawing, (px) => lens.point(lens.base, lens.base - lag(px)), () => lens.pin(lens.base));
  }
  function drawSpectrum() {
    const [top, bottom] = [20, 126];
    const highest = lens.read(record.spectrum_band).values.reduce((one, two) => Math.max(one, two), 1e-9);
    const right = scale(0, 0.5, LEFT, widthOf(spectrum) - 12);
    const y = scale(0, highest * 1.04, bottom, top);
    const frequencies = lens.read(record.frequencies).values;
    sheet(spectrum, bottom + 38, "Spectrum of the filters", text(LEFT, 12, "spectrum", "gl-soft"),
      line(right(1 / 3), top, right(1 / 3), bottom, "gl-origin"), text(right(1 / 3), 12, "codon: 1/3", "gl-middle gl-soft"),
      curves(lens, record, "spectrum", shown, frequencies, right, y), leftAxis(0, highest, y, LEFT - 4),
      bottomAxis(0, 0.5, right, bottom, { values: true, name: "cycles per base" }));
  }
  function drawRanks(reach, middle) {
    const [top, bottom, end] = [20, 126, widthOf(ranks) - 12];
    const right = scale(0, reach.length, LEFT, end);
    const farthest = reach.reduce((one, two) => Math.max(one, two), 1);
    const y = scale(0, farthest * 1.04, bottom, top);
    const sorted = Array.from(reach.keys()).sort((one, two) => reach[two] - reach[one]);
    const dots = sorted.map((channel, place) => {
      const rank = shown.indexOf(channel);
      const look = rank < 0 ? "gl-dot" : `gl-dot gl-line-${rank}`;
      return make("circle", { cx: right(place + 0.5), cy: y(reach[channel]), r: rank < 0 ? 2 : 3.5, class: look });
    });
    sheet(ranks, bottom + 38, "Reach of every channel", text(LEFT, 12, "95 % reach, bases", "gl-soft"),
      line(LEFT, y(middle), end, y(middle), "gl-origin"), text(end, y(middle) - 4, `median ${whole(middle)}`, "gl-end gl-soft"),
      dots, leftAxis(0, farthest, y, LEFT - 4), bottomAxis(0, reach.length, right, bottom, { name: "channels, farthest first" }));
  }
  function mark() {
    if (!record) return frame.say(lens.base, "");
    const { sequence } = lens.view();
    cursor.move(0, x, first, last, lens.base);
    other.move(lens.partner === null ? null : lens.base - lens.partner, x, first, last, lens.partner);
    const readable = x(1) - x(0) >= 7 ? record.lags : [];
    const letters = readable.filter((lag) => sequence[lens.base - lag]);
    spelled.replaceChildren(...letters.map((lag) => spell(sequence[lens.base - lag], x(lag + 0.5), 190)));
    const [back, ahead] = lens.reach;
    const from = back ? `back to base ${whole(Math.max(0, lens.base - back))}` : "";
    const to = ahead ? `ahead to base ${whole(Math.min(sequence.length - 1, lens.base + ahead))}` : "";
    const words = [from, to].filter(Boolean).join(" and ") || "no other base";
    return frame.say(lens.base, `From ${lens.word(lens.base)} the median filter reaches ${words}.`);
  }
  return { ...frame, draw, mark };
}

// motifs

/* Letters of one column, the smallest next to the axis, above it and below it. */
function stack(motif, column, x, y) {
  const entries = motif.contributions[column].map((value, index) => ({ value, letter: motif.letters[index] }));
  entries.sort((one, two) => Math.abs(one.value) - Math.abs(two.value));
  const sums = { above: 0, below: 0 };
  return entries.map(({ value, letter }) => {
    const side = value < 0 ? "below" : "above";
    const [from, to] = [y(sums[side]), y((sums[side] += value))];
    const height = Math.abs(to - from);
    return height < 0.4 ? null : glyph(letter, x(column), Math.min(from, to), x(1) - x(0), height, value < 0);
  });
}

const heights = (motif) => motif.contributions.flatMap((row) => [
  row.reduce((sum, value) => sum + Math.max(value, 0), 0), row.reduce((sum, value) => sum + Math.min(value, 0), 0),
]);

/* Draws one logo; gives the function that moves its cursor. */
function logo(lens, motif, holder) {
  const size = motif.contributions.length;
  const [top, bottom] = [8, 112];
  const range = extent(heights(motif));
  const y = scale(...range, bottom, top);
  const x = scale(0, size, LEFT, Math.min(widthOf(holder) - 8, LEFT + size * 44));
  const { origin, origin_name: name } = lens.view();
  const seen = origin !== null && origin >= motif.start && origin <= motif.start + size;
  const border = seen ? x(origin - motif.start) : 0;
  const every = Math.ceil(32 / (x(1) - x(0)));
  const columns = times(size, (column) => column);
  const words = (column) => lens.relative(motif.start + column) ?? whole(motif.start + column);
  const cursor = hairline(top, bottom);
  const drawing = sheet(holder, bottom + 38, `Logo of ${motif.name}`, cursor.node,
    seen ? line(border, top, border, bottom, "gl-origin") : null, line(LEFT, y(0), x(size), y(0), "gl-axis"),
    columns.flatMap((column) => stack(motif, column, x, y)), leftAxis(...range, y, LEFT - 4),
    columns.filter((column) => column % every === 0).map((column) => text(x(column + 0.5), bottom + 16, words(column), "gl-middle")),
    text((LEFT + x(size)) / 2, bottom + 32, origin === null ? "base" : `position from the ${name}`, "gl-middle gl-soft"));
  const base = (px) => motif.start + Math.floor((px - LEFT) / (x(1) - x(0)));
  const over = (px) => base(px) >= motif.start && base(px) < motif.start + size;
  follow(drawing, (px) => over(px) && lens.point(base(px), null), (px) => over(px) && lens.pin(base(px)));
  return () => cursor.move(lens.base, (place) => x(place - motif.start), motif.start, motif.start + size);
}

function motifPanel(lens) {
  const sentence = "Mean contribution of every letter over many sequences, aligned at the site.";
  const frame = panel("motifs", "motifs", sentence);
  const { motifs } = lens.payload;
  let moves = [];
  function card(motif) {
    const holder = make("div");
    const count = motif.sequences ? `${whole(motif.sequences)} sequences` : "";
    const how = [count, motif.method, motif.baseline && `baseline: ${motif.baseline}`].filter(Boolean).join(", ");
    const head = make("h4", {}, motif.name, make("span", { class: "gl-words" }, how));
    return { holder, node: make("div", { class: "gl-logo" }, head, holder) };
  }
  function draw() {
    if (!motifs.length) return frame.refuse("No motif came with this lens.");
    const cards = motifs.map(card);
    frame.body.replaceChildren(...cards.map(({ node }) => node));
    moves = cards.map(({ holder }, index) => logo(lens, motifs[index], holder));
    frame.foot.textContent = "Heights are mean contributions, not information content; "
      + "letters below the axis speak against the class.";
    return undefined;
  }
  function mark() {
    moves.forEach((move) => move());
    const letter = lens.view().sequence[lens.base].toUpperCase();
    const told = motifs.flatMap((motif) => {
      const share = motif.frequencies[lens.base - motif.start]?.[motif.letters.indexOf(letter)];
      return share === undefined ? [] : [`${percent(share)} of the sequences of “${motif.name}”`];
    });
    const found = told.length ? `${letter} stands here in ${told.join(", in ")}.` : `${lens.word(lens.base, "Base")} lies outside the motifs.`;
    frame.say(lens.base, motifs.length ? found : "");
  }
  return { ...frame, draw, mark };
}
