/* The lens, part 6: the long filters of a layer. */

const FADED = 0.8; // of the lags shown: a filter that reaches farther has not faded within them
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
  const pick = choosers(lens, frame, [["layer", "layer"], ["index", "filter", {}, true]]);
  const pickSort = choosers(lens, frame, [["sort", "show", SORT_WORDS]]);
  const [key, impulse, pair] = ["key", "impulse", "pair"].map((name) => make("div", { class: `gl-${name}` }));
  const [spectrum, ranks] = [make("div"), make("div")];
  pair.append(spectrum, ranks);
  let record, shown, first, last, x, cursor, other, spelled, unending;

  function draw() {
    record = pick(lens.payload.filters);
    const { sort } = pickSort(Object.keys(SORT_WORDS).map((name) => ({ sort: name })));
    Object.assign(lens, { reach: [0, 0], layer: record?.layer ?? null });
    if (!record) return frame.refuse("No filter bank came with this lens.");
    const reach = lens.read(record.reach).values;
    const middle = Math.round(median(reach));
    [first, last] = [Math.min(...record.lags), Math.max(...record.lags) + 1];
    const fades = middle < FADED * Math.max(last - 1, -first);
    if (fades) lens.reach = [last > 1 ? middle : 0, first < 0 ? middle : 0];
    unending = !fades && record.lags.length > 1;
    shown = record.strongest[sort];
    frame.body.replaceChildren(key, impulse, pair);
    const words = (channel) => `channel ${channel}: ${bases(reach[channel])}`;
    key.replaceChildren(...shown.map((channel, rank) =>
      make("span", { class: `gl-line-${rank}` }, make("i"), words(channel))));
    drawImpulse();
    drawSpectrum();
    drawRanks(reach, middle);
    const told = make("strong", {}, unending ? `most filters do not fade within the ${record.lags.length} lags shown`
      : `median reach ${bases(middle)}`);
    const drawn = `${shown.length} of ${reach.length} channels drawn, the band spans all.`;
    if (unending) return frame.foot.replaceChildren(told, `, so no reach is drawn. ${drawn}`);
    return frame.foot.replaceChildren(told, ` (95 % of a filter's energy lies within its reach). ${drawn}`);
  }
  function drawImpulse() {
    const [top, bottom, right] = [20, 200, widthOf(impulse) - 8];
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
    const [top, bottom] = [20, 150];
    const highest = lens.read(record.spectrum_band).values.reduce((one, two) => Math.max(one, two), 1e-9);
    const right = scale(0, 0.5, LEFT, widthOf(spectrum) - 12);
    const y = scale(0, highest * 1.04, bottom, top);
    const frequencies = lens.read(record.frequencies).values;
    const codon = right(1 / 3);
    sheet(spectrum, bottom + 38, "Spectrum of the filters", text(LEFT, 12, "spectrum", "gl-soft"),
      line(codon, top, codon, bottom, "gl-origin"), text(codon, 12, "codon, 1/3", "gl-middle gl-soft"),
      curves(lens, record, "spectrum", shown, frequencies, right, y), leftAxis(0, highest, y, LEFT - 4),
      bottomAxis(0, 0.5, right, bottom, { values: true, name: "cycles per base" }));
  }
  function drawRanks(reach, middle) {
    const [top, bottom, end] = [20, 150, widthOf(ranks) - 12];
    const right = scale(0, reach.length, LEFT, end);
    const farthest = reach.reduce((one, two) => Math.max(one, two), 1);
    const y = scale(0, farthest * 1.04, bottom, top);
    const sorted = Array.from(reach.keys()).sort((one, two) => reach[two] - reach[one]);
    const dots = sorted.map((channel, place) => {
      const rank = shown.indexOf(channel);
      const look = rank < 0 ? "gl-dot" : `gl-dot gl-line-${rank}`;
      return make("circle", { cx: right(place + 0.5), cy: y(reach[channel]), r: rank < 0 ? 2 : 3.5, class: look });
    });
    const level = y(middle);
    sheet(ranks, bottom + 38, "Reach of every channel", text(LEFT, 12, "95 % reach, bases", "gl-soft"),
      line(LEFT, level, end, level, "gl-origin"), text(end, level - 4, `median ${whole(middle)}`, "gl-end gl-soft"),
      dots, leftAxis(0, farthest, y, LEFT - 4),
      bottomAxis(0, reach.length, right, bottom, { name: "channels, farthest first" }));
  }
  function mark() {
    if (!record) return frame.say(lens.base, "");
    const { sequence } = lens.view();
    cursor.move(0, x, first, last, lens.base);
    other.move(lens.partner === null ? null : lens.base - lens.partner, x, first, last, lens.partner);
    const readable = x(1) - x(0) >= 7 ? record.lags : [];
    const letters = readable.filter((lag) => sequence[lens.base - lag]);
    spelled.replaceChildren(...letters.map((lag) => spell(sequence[lens.base - lag], x(lag + 0.5), 214)));
    const [back, ahead] = lens.reach;
    const from = back ? `back to base ${whole(Math.max(0, lens.base - back))}` : "";
    const to = ahead ? `ahead to base ${whole(Math.min(sequence.length - 1, lens.base + ahead))}` : "";
    const words = [from, to].filter(Boolean).join(" and ") || "no other base";
    if (unending) return frame.say(lens.base, "");
    return frame.say(lens.base, `From ${lens.word(lens.base)} the median filter reaches ${words}.`);
  }
  return { ...frame, draw, mark };
}
