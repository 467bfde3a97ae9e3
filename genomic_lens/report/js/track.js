/* The lens, part 4: the sequence with its annotations and the contribution of each base, from letters to a density. */

const LEGIBLE = 5.5; // pixels a base from which contributions are letters; narrower ones are bars
const SPELLED = 7; // pixels a base from which the sequence is spelled out below them

/* The annotations in view, each with its lane, in as few lanes as hold them and their names without overlap. */
function intoLanes(annotations, [from, to], x) {
  const ends = [];
  return annotations.filter((item) => item.stop > from && item.start < to).map((item) => {
    const [left, right] = [x(Math.max(item.start, from)), x(Math.min(item.stop, to))];
    const words = item.name.length * 6.6 + 12;
    const inside = ["exon", "intron"].includes(item.kind) && words < right - left;
    const free = ends.findIndex((taken) => taken <= left + 0.5);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = right + (inside ? 0 : words);
    return { ...item, lane, inside, left, right };
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

function annotationMark(item, top) {
  const { left, right } = item;
  const tip = { "+": 5, "-": -5 }[item.strand] ?? 0;
  const label = item.inside
    ? text((left + right) / 2, top + 12, item.name, `gl-middle gl-on-${item.kind}`)
    : text(right + 6, top + 12, item.name);
  const span = `bases ${whole(item.start)} to ${whole(item.stop - 1)}`;
  const told = make("title", {}, `${item.name}, ${item.kind}, ${span}, strand ${item.strand}`);
  return make("g", {}, told, (MARKS[item.kind] ?? MARKS.other)(left, right, top, tip), label);
}

const TICK_SHADES = 8; // of ticks, each of them one path

/* A lane of ticks where chunks begin, the fainter the smaller their byte; where bases are narrower than pixels, the mean. */
function laneMarks({ name, codes }, [from, to], x, top, { left, right }, clip) {
  const paths = {};
  const size = Math.max(1, 1 / (x(1) - x(0)));
  let count = 0;
  for (let start = from; start < to; start += size) {
    let [sum, seen] = [0, 0];
    for (let base = Math.floor(start); base < Math.min(to, start + size); base += 1) {
      sum += codes[base];
      seen += 1;
      count += codes[base] > 0;
    }
    const shade = Math.ceil((TICK_SHADES * sum) / (255 * seen));
    if (shade) paths[shade] = `${paths[shade] ?? ""}M${x(start).toFixed(1)} ${top + 1}v14`;
  }
  const look = (shade) => ({ class: "gl-tick", opacity: shade / TICK_SHADES });
  const ticks = Object.entries(paths).map(([shade, d]) => make("path", { d, ...look(shade) }));
  const told = make("title", {}, `${name}: ${whole(count)} chunks begin in ${bases(to - from)}`);
  const ground = box(left, top, right - left, 16, "gl-lane");
  const words = text(left - 8, top + 12, name, "gl-end gl-soft");
  return make("g", { "data-lane": name }, told, ground, make("g", clip.by, ticks), words);
}

/* The origin as a dashed line, with positions counted from it. */
function originMarks({ origin, origin_name: name }, [from, to], x, top, bottom) {
  if (origin === null) return [];
  const seen = (base) => base >= from && base + 1 <= to;
  const room = seen(origin) ? (name.length * 3.4 + 24) / (x(1) - x(0)) : 0;
  const step = Math.max(1, roundStep(50 / (x(1) - x(0))));
  const count = Math.floor((to - from) / step) + 1;
  const near = Math.max(0, Math.floor((from - origin) / step), Math.floor((origin - to) / step));
  const shown = times(count + 1, (index) => (near + index + 1) * step).flatMap((shift) => [
    [origin - shift, `−${whole(shift)}`], [origin + shift - 1, `+${whole(shift)}`],
  ]).filter(([base]) => seen(base) && Math.abs(base - origin) > room);
  const marks = shown.map(([base, words]) => text(x(base + 0.5), top - 4, words, "gl-middle gl-soft"));
  if (!(origin >= from && origin <= to)) return marks;
  return [line(x(origin), top, x(origin), bottom, "gl-origin"), text(x(origin), top - 4, name, "gl-middle"), ...marks];
}

/* Contributions as letters, masked bases hatched. */
function letterMarks(sequence, values, [from, to], x, y) {
  const cell = x(1) - x(0);
  return times(to - from, (index) => {
    const base = from + index;
    const [value, tip] = [values[base], y(values[base])];
    if (!Number.isFinite(value)) return hatch(x(base), y(0) - 12, cell, 24);
    const height = Math.abs(tip - y(0));
    return height < 0.5 ? null : glyph(sequence[base], x(base), Math.min(tip, y(0)), cell, height, value < 0);
  });
}

/* The same as bars: one path a letter, however many there are. */
function barMarks(sequence, values, [from, to], x, y) {
  const paths = {};
  const cell = (x(1) - x(0)).toFixed(2);
  for (let base = from; base < to; base += 1) {
    if (Number.isFinite(values[base])) {
      const look = `gl-base-${kindOf(sequence[base])}${values[base] < 0 ? " gl-below" : ""}`;
      const bar = `M${x(base).toFixed(2)} ${y(0).toFixed(1)}V${y(values[base]).toFixed(1)}h${cell}V${y(0).toFixed(1)}Z`;
      paths[look] = (paths[look] ?? "") + bar;
    }
  }
  return Object.entries(paths).map(([look, d]) => make("path", { d, class: look }));
}

/* Lowest and highest contribution a pixel, where bases are narrower than pixels. */
function densityMarks(values, [from, to], x, y) {
  let d = "";
  const size = 1 / (x(1) - x(0));
  for (let start = from; start < to; start += size) {
    let [low, high] = [0, 0];
    for (let base = Math.floor(start); base < Math.min(to, start + size); base += 1) {
      if (values[base] < low) low = values[base];
      if (values[base] > high) high = values[base];
    }
    if (high > low) d += `M${x(start).toFixed(1)} ${y(high).toFixed(1)}V${y(low).toFixed(1)}`;
  }
  return [make("path", { d, class: "gl-density" })];
}

function contributionMarks(sequence, values, range, x, y) {
  const cell = x(1) - x(0);
  if (cell >= LEGIBLE) return letterMarks(sequence, values, range, x, y);
  return cell >= 1 ? barMarks(sequence, values, range, x, y) : densityMarks(values, range, x, y);
}

/* Whether the contributions add up, and from where to where. */
function addsUp(record, values) {
  const missing = 100 * record.gap;
  const digits = Math.max(0, Math.ceil(-Math.log10(missing || 1)));
  const share = missing > 0 && digits > 5 ? "> 99.99999 %" : `${(100 - missing).toFixed(digits)} %`;
  const good = record.gap <= 1e-3;
  const sum = values.reduce((total, value) => total + (Number.isFinite(value) ? value : 0), 0);
  const [told, due] = [sum, record.output - record.reference_output].map((value) => number(value));
  const poor = told === due ? `off by ${percent(record.gap)}` : `the sum is ${told} for a change of ${due}`;
  const words = good ? `✓ adds up to ${share}` : `! does not add up: ${poor}`;
  const references = record.references > 1 ? ` × ${record.references}` : "";
  const from = `${number(record.reference_output)} (baseline: ${record.baseline}${references})`;
  return [make("strong", { class: good ? "gl-good" : "gl-poor" }, words),
    `${good ? " of the step" : ""} from ${from} to ${number(record.output)} (this sequence). Method: ${record.method}.`];
}

/* Pointer, wheel and keys on the track: drag selects, the wheel zooms while the track has the focus or Ctrl is held, and
 * moves along with Shift; + − 0 zoom too. */
function trackGestures(drawing, across, place, { pointed, clicked, selected, moved }) {
  let grip = null;
  const base = (event) => {
    const { left, width } = drawing.getBoundingClientRect();
    const at = ((event.clientX - left) * drawing.viewBox.baseVal.width) / width;
    return across.range[0] + ((at - place.left) / (place.right - place.left)) * across.size;
  };
  const span = (one, two) => [Math.min(one, two), Math.max(one, two)];
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button === 0) grip = { base: base(event), x: event.clientX, dragged: false };
  });
  drawing.addEventListener("pointermove", (event) => {
    if (grip && (grip.dragged || Math.abs(event.clientX - grip.x) > 4)) {
      grip.dragged = true;
      drawing.setPointerCapture(event.pointerId);
      const [from, to] = span(grip.base, base(event));
      selected([Math.floor(from), Math.ceil(to)]);
    } else pointed(Math.floor(base(event)));
  });
  drawing.addEventListener("pointerup", (event) => {
    if (grip && !grip.dragged) clicked(Math.floor(base(event)));
    grip = null;
  });
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== drawing) return;
    const along = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!along && event.deltaY > 0 && across.whole) return;
    event.preventDefault();
    if (along) across.shift(((event.deltaX || event.deltaY) / 600) * across.size);
    else across.zoom(2 ** (event.deltaY / 240), base(event));
    moved();
  }, { passive: false });
  drawing.addEventListener("keydown", (event) => {
    const factor = { "+": 0.5, "=": 0.5, "-": 2, 0: Infinity }[event.key];
    if (!factor || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    across.zoom(factor, across.middle);
    moved();
  });
}

/* The sequence between two bases, with what is known of it. draw() takes the sequence's view and the contributions, or
 * null; it keeps the stretch in sight while the length stays the same. */
function trackViewer(holder, on) {
  let [view, values, across, range] = [null, null, null, [-1, 1]];
  let [x, cursor, other, reach, chosen, place, drawing, marks] = [null, null, null, null, null, {}, null, {}];

  /* Letters, axis and zero line of the contributions. */
  function contributions(shown, high, low, clip) {
    if (!values) return [];
    const y = scale(...range, low, high);
    const axis = leftAxis(...range, y, LEFT - 4, { name: "contribution" });
    const drawn = contributionMarks(view.sequence, values, shown, x, y);
    return [axis, line(LEFT, y(0), place.right, y(0), "gl-axis"), make("g", clip.by, drawn)];
  }
  function draw(nextView, nextValues) {
    [view, values] = [nextView, nextValues];
    const length = view.sequence.length;
    if (across?.limits[1] !== length) across = viewport([0, length], 10);
    range = values ? extent(values) : [-1, 1];
    redraw();
  }
  function redraw() {
    const focused = drawing !== null && document.activeElement === drawing;
    place = { left: LEFT, right: widthOf(holder) - 12 };
    const [from, to] = across.range;
    x = scale(from, to, place.left, place.right);
    const shown = [Math.floor(from), Math.min(view.sequence.length, Math.ceil(to))];
    const notes = intoLanes(view.annotations, across.range, x);
    const top = 20;
    const lanes = view.lanes ?? [];
    const known = top + 8 + 20 * Math.max(0, ...notes.map((item) => item.lane + 1));
    const high = known + 20 * lanes.length;
    const low = high + (values ? 140 : 4);
    const spelled = x(1) - x(0) >= SPELLED ? times(shown[1] - shown[0], (index) => shown[0] + index) : [];
    const floor = low + (spelled.length ? 32 : 14);
    Object.assign(place, { top, floor });
    [cursor, other] = [hairline(top, floor), hairline(top, floor, "gl-cursor gl-partner")];
    [reach, chosen] = [make("path", { class: "gl-reach" }), make("rect", { class: "gl-chosen" })];
    const clip = clipped(box(place.left, 0, place.right - place.left, floor, ""));
    const letters = spelled.map((base) => spell(view.sequence[base], x(base + 0.5), low + 18, view.changed?.has(base)));
    drawing = sheet(holder, floor + 38, "Cursor along the bases", clip.node, chosen, cursor.node, other.node,
      originMarks(view, across.range, x, top, floor), notes.map((item) => annotationMark(item, top + 4 + 20 * item.lane)),
      lanes.map((lane, row) => laneMarks(lane, shown, x, known + 20 * row, place, clip)),
      contributions(shown, high, low, clip), make("g", clip.by, letters), reach,
      bottomAxis(from, to, x, floor, { name: "base, counted from 0, 5′ to 3′" }));
    assign(drawing, { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": view.sequence.length - 1 });
    trackGestures(drawing, across, place, { ...on, moved: redraw });
    if (focused) drawing.focus({ preventScroll: true });
    on.drawn?.(drawing);
    mark(marks);
  }
  function mark(now) {
    marks = now;
    const { base = null, partner = null, span = null, selection = null } = marks;
    const [from, to] = across.range;
    cursor.move(base, x, from - 1, to);
    other.move(partner, x, from - 1, to);
    const within = ([one, two]) => [Math.max(from, one), Math.min(to, two)];
    const [start, stop] = span ? within(span) : [0, 0];
    reach.setAttribute("d", stop > start ? `M${x(start)} ${place.floor - 6}v4H${x(stop)}v-4` : "");
    const [first, last] = selection ? within(selection) : [0, 0];
    chosen.style.display = last > first ? "" : "none";
    if (last > first) assign(chosen, { x: x(first), width: x(last) - x(first), y: place.top, height: place.floor - place.top });
  }
  /* Brings a base, or a selection, into sight. */
  const reveal = (start, stop = start + 1) => {
    const [from, to] = across.range;
    if (start >= from && stop <= to) return;
    across.show(start - 0.5 * (across.size - (stop - start)), start + 0.5 * (across.size + (stop - start)));
    redraw();
  };
  const zoomTo = (start, stop) => {
    across.show(start, stop);
    redraw();
  };
  return { draw, mark, reveal, zoomTo, get range() { return across?.range ?? [0, 0]; } };
}

function trackPanel(lens) {
  const sentence = "How much each base pushes the output up, or down (upside-down, lighter), against the baseline.";
  const frame = panel("track", "track", sentence);
  const fields = [["target", "output"], ["method", "method"], ["baseline", "baseline"]];
  const pick = choosers(lens, frame, fields);
  const viewer = trackViewer(frame.body, {
    pointed: (base) => lens.point(base, null),
    clicked: (base) => lens.pin(base),
    selected: (selection) => lens.select(selection),
    drawn: (drawing) => (lens.slider = drawing),
  });

  function draw() {
    const record = (lens.attribution = pick(lens.view().attributions));
    viewer.draw(lens.view(), record && lens.read(record.values).values);
    frame.foot.replaceChildren(...(record ? addsUp(record, lens.read(record.values).values) : ["No attribution was computed for this sequence."]));
  }
  function mark() {
    const { base, partner, selection } = lens;
    const [back, ahead] = lens.reach;
    viewer.mark({ base, partner, selection, span: back + ahead ? [base - back, base + 1 + ahead] : null });
    const size = [back && `${bases(back)} back`, ahead && `${bases(ahead)} ahead`].filter(Boolean).join(" and ");
    frame.say(base, size ? `Bracket: the median filter of layer ${lens.layer} reaches ${size} from here.` : "");
  }
  return { ...frame, draw, mark, reveal: viewer.reveal, zoomTo: viewer.zoomTo };
}
