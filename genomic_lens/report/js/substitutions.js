/* The lens, part 7: what the model would say if one base were another. */

function substitutionPanel(lens) {
  const sentence = "How the probability of a class changes if one base is replaced by another; each cell is one prediction.";
  const frame = panel("substitutions", "what if", sentence);
  const pick = choosers(lens, frame, [["label", "class"]]);
  const row = 22;
  let known, x, cursor, chosen, target, changes;

  /* Change of the chosen class's probability by letter and base; 0 for the letter that stands there. */
  function measure(view) {
    const { labels, probabilities } = view.prediction;
    const { values } = lens.read(known.probabilities);
    const letters = known.letters.length;
    changes = times(letters, (letter) => times(view.sequence.length, (base) =>
      values[(base * letters + letter) * labels.length + target] - probabilities[target]));
  }
  function draw() {
    const view = lens.view();
    known = view.substitutions;
    frame.node.hidden = !known;
    if (!known) return;
    const { labels, probabilities } = view.prediction;
    const best = indexOfLargest(probabilities);
    const offered = [best, ...times(labels.length, (index) => index).filter((index) => index !== best)];
    target = labels.indexOf(pick(offered.map((index) => ({ label: labels[index] }))).label);
    measure(view);
    drawMap(view);
    const signed = (value) => number(value, true);
    const [letter, base] = strongest();
    const most = `${view.sequence[base]}→${known.letters[letter]} at base ${whole(base)}: ${signed(changes[letter][base])}`;
    const told = make("strong", {}, `strongest change ${most}`);
    frame.foot.replaceChildren(told, ". Effects of single changes need not add up; a model may know more than one way.");
  }
  function strongest() {
    let best = [0, 0];
    changes.forEach((values, letter) => values.forEach((value, base) => {
      if (Math.abs(value) > Math.abs(changes[best[0]][best[1]])) best = [letter, base];
    }));
    return best;
  }
  function drawMap({ sequence }) {
    const [top, right] = [8, widthOf(frame.body) - 92];
    const bottom = top + row * known.letters.length;
    x = scale(0, sequence.length, LEFT, right);
    const cell = x(1) - x(0);
    const peak = Math.max(...changes.flat().map(Math.abs), 1e-9);
    const paint = painter(lens.element, { kind: "signed" }, SHADES.root);
    const cells = changes.flatMap((values, letter) => values.map((value, base) => {
      const mark = box(x(base), top + letter * row, cell, row, "gl-cell");
      mark.style.fill = `rgb(${paint(value / peak).join(" ")})`;
      return mark;
    }));
    const letterOf = (base) => known.letters.indexOf(sequence[base].toUpperCase());
    const here = [...sequence].map((_, base) => letterOf(base) < 0 ? null
      : make("circle", { cx: x(base + 0.5), cy: top + (letterOf(base) + 0.5) * row, r: Math.min(2, cell / 3), class: "gl-dot" }));
    const names = known.letters.map((letter, index) => spell(letter, LEFT - 12, top + (index + 0.5) * row + 4));
    cursor = hairline(top, bottom);
    chosen = box(0, 0, cell, row, "gl-edge gl-picked-cell");
    const scaleBar = legend(paint, "signed", peak, SHADES.root, right + 16, top, bottom);
    const drawing = sheet(frame.body, bottom + 38, "Map of all substitutions", cells, here, names, cursor.node, chosen,
      box(LEFT, top, right - LEFT, bottom - top, "gl-edge"), scaleBar.slice(0, -1),
      bottomAxis(0, sequence.length, x, bottom, { name: "base · a dot marks the letter that stands there" }));
    const at = (px, py) => [Math.floor((px - LEFT) / cell), Math.floor((py - top) / row)];
    const over = ([base, letter]) => base >= 0 && base < sequence.length && letter >= 0 && letter < known.letters.length;
    follow(drawing, (px, py) => over(at(px, py)) && point(...at(px, py)), (px, py) => over(at(px, py)) && lens.pin(at(px, py)[0]));
    function point(base, letter) {
      lens.letter = letter;
      lens.point(base, null);
      mark();
    }
  }
  function mark() {
    if (!known) return;
    const { sequence, prediction: { labels, probabilities } } = lens.view();
    const base = lens.base;
    cursor.move(base, x, 0, sequence.length);
    const told = known.letters.map((letter, index) => ({ letter, change: changes[index][base] }))
      .filter(({ letter }) => letter !== sequence[base].toUpperCase())
      .map(({ letter, change }) => `${letter} ${(probabilities[target] + change).toFixed(3)} (${number(change, true)})`);
    frame.say(base, `${lens.word(base, "Base")} as another, ${labels[target]}: ${told.join(" · ")}.`);
    chosen.style.display = lens.letter === undefined ? "none" : "";
    if (lens.letter !== undefined) assign(chosen, { x: x(base), y: 8 + lens.letter * row });
  }
  return { ...frame, draw, mark };
}
