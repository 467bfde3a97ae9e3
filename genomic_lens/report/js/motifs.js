/* The lens, part 8: motifs as logos. */

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
  const word = (column) => lens.relative(motif.start + column) ?? whole(motif.start + column);
  const names = columns.filter((column) => column % every === 0).map((column) =>
    text(x(column + 0.5), bottom + 16, word(column), "gl-middle"));
  const cursor = hairline(top, bottom);
  const drawing = sheet(holder, bottom + 38, `Logo of ${motif.name}`, cursor.node,
    seen ? line(border, top, border, bottom, "gl-origin") : null, line(LEFT, y(0), x(size), y(0), "gl-axis"),
    columns.flatMap((column) => stack(motif, column, x, y)), names,
    leftAxis(...range, y, LEFT - 4, { name: "contribution" }),
    text(x(size / 2), bottom + 32, origin === null ? "base" : `position from the ${name}`, "gl-middle gl-soft"));
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
    const outside = `${lens.word(lens.base, "Base")} lies outside the motifs.`;
    const found = told.length ? `${letter} stands here in ${told.join(", in ")}.` : outside;
    frame.say(lens.base, motifs.length ? found : "");
  }
  return { ...frame, draw, mark };
}
