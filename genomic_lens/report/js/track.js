/* The lens, part 3: the sequence with its annotations and the contribution of each base. */

const LONGEST = 200; // bases that are drawn as letters; longer sequences as bars

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
  const step = Math.max(1, roundStep(50 / cell));
  const counted = times(Math.floor(sequence.length / step), (index) => (index + 1) * step).flatMap((shift) => [
    [origin - shift, `−${whole(shift)}`], [origin + shift - 1, `+${whole(shift)}`],
  ]);
  const inside = (base) => base >= 0 && base < sequence.length && Math.abs(base - origin) * cell > room;
  const shown = counted.filter(([base]) => inside(base));
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
  const pick = choosers(lens, frame, fields);
  let x, cursor, other, reach, length, floor;

  /* Letters, axis and zero line of the chosen attribution. */
  function contributions(record, sequence, high, low) {
    if (!record) return [];
    const { values } = lens.read(record.values);
    const range = extent(values);
    const y = scale(...range, low, high);
    const marks = (length <= LONGEST ? letterMarks : barMarks)(sequence, values, x, y);
    const axis = leftAxis(...range, y, LEFT - 4, { name: "contribution" });
    return [axis, line(LEFT, y(0), x(length), y(0), "gl-axis"), marks];
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
      bottomAxis(0, length, x, floor, { name: "base, counted from 0, 5′ to 3′" }));
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
