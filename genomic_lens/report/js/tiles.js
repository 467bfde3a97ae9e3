/* The lens, part 3: a map of any size on a canvas. It is fetched in square tiles of bytes as the view moves, so a map of
 * a million bases costs what is on the screen. A source gives the tiles:
 *
 *   { rows: [start, stop], columns: [start, stop], cell: [rows, columns] bases a cell at level 0, levels, kind, causal,
 *     viridis, tile(place) -> { codes, shape, peak } or ask(places) -> Promise of a list of them }
 *
 * with places [level, row, column] counted in tiles.
 *
 * At level n a cell covers 2 ** n cells of level 0. Codes are as in decode(): 255 is masked. */

const TILE = 128; // cells a side
const KEPT = 400; // tiles
const NAMED = 80; // bases in view, up to which their letters stand at the axes

const SHADES = { root: Math.sqrt, linear: (part) => part };

/* A colour of the style sheet as [red, green, blue]; reading it back from a canvas is slow, so it is done once each. */
const COLOURS = new Map();
function rgb(element, name) {
  const colour = getComputedStyle(element).getPropertyValue(name).trim() || "#fff";
  if (!COLOURS.has(colour)) {
    const pen = make("canvas", { width: 1, height: 1 }).getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    COLOURS.set(colour, [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3));
  }
  return COLOURS.get(colour);
}

/* From a value, as a fraction of the peak, to [red, green, blue]: viridis for norms; for signed values one of two
 * colours, mixed into the surface, so that 0 is the surface. */
function painter(element, { kind, viridis }, shade) {
  const [up, down, surface] = ["--gl-positive", "--gl-negative", "--jp-layout-color1"].map((name) => rgb(element, name));
  return (part) => {
    const level = shade(Math.min(1, Math.abs(part)));
    if (kind === "signed") return surface.map((from, at) => from + ((part < 0 ? down : up)[at] - from) * level);
    return viridis[Math.round(255 * level)];
  };
}

/* The colours of all bytes at one peak, as pixels; masked cells have none, so that the hatching below them shows. */
function palette(paint, kind, part) {
  const colours = new Uint8ClampedArray(4 * 256);
  const middle = kind === "signed" ? 127 : 0;
  times(255, (code) => colours.set([...paint(part * ((code - middle) / (254 - middle)) ** 3), 255], 4 * code));
  return new Uint32Array(colours.buffer);
}

/* One tile as a picture. Cells ahead of their row of a causal map have the colour of the surface. */
function tilePicture(tile, source, [level, row, column], colours, surface) {
  const [rows, columns] = tile.shape;
  const picture = make("canvas", { width: columns, height: rows });
  const pen = picture.getContext("2d");
  const image = pen.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const [blank] = new Uint32Array(new Uint8ClampedArray([...surface, 255]).buffer);
  const size = source.cell.map((count) => count * 2 ** level);
  times(rows, (y) => {
    const stop = source.rows[0] + (row * TILE + y + 1) * size[0];
    const reach = source.causal ? Math.ceil((stop - source.columns[0]) / size[1] - column * TILE - 1e-9) : columns;
    for (let x = 0, at = y * columns; x < columns; x += 1, at += 1) {
      pixels[at] = x < reach ? colours[tile.codes[at]] : blank;
    }
  });
  pen.putImageData(image, 0, 0);
  return picture;
}

/* Tiles that came, by their place. One question is open at a time; the next asks for what is in view by then. */
function tileStore(source, arrived) {
  const known = new Map();
  let [wanted, open] = [[], false];
  const fetch = async () => {
    const places = wanted;
    const tiles = await source.ask(places);
    tiles.forEach((tile, index) => known.set(String(places[index]), tile));
    while (known.size > KEPT) known.delete(known.keys().next().value);
    open = false;
    arrived();
  };
  const want = (places) => {
    wanted = source.tile ? [] : places.filter((place) => !known.has(String(place)));
    if (!wanted.length || open) return;
    open = true;
    fetch();
  };
  const get = (place) => {
    const name = String(place);
    if (source.tile && !known.has(name)) known.set(name, source.tile(place));
    return known.get(name) ?? null;
  };
  const peak = () => [...known.values()].reduce((most, tile) => Math.max(most, tile.peak), 0);
  return { want, get, peak };
}

/* A stretch of bases in view, moved and zoomed within its limits. */
function viewport(limits, least) {
  let [from, to] = limits;
  const set = (start, size) => {
    const span = Math.min(limits[1] - limits[0], Math.max(least, size));
    from = Math.max(limits[0], Math.min(limits[1] - span, start));
    to = from + span;
  };
  return {
    limits,
    get range() { return [from, to]; },
    get size() { return to - from; },
    get middle() { return (from + to) / 2; },
    get whole() { return to - from >= limits[1] - limits[0] - 1e-9; },
    set,
    shift: (bases) => set(from + bases, to - from),
    zoom: (factor, around) => (factor === Infinity ? set(limits[0], limits[1])
      : set(around - (around - from) * factor, (to - from) * factor)),
    show: (start, stop) => set(start, stop - start),
  };
}

/* The level whose cells are about as large as a pixel, and the places of the tiles in view. */
function tilesInView(source, across, down, pixels) {
  const sizes = [down.range, across.range].map(([from, to], axis) => (to - from) / (source.cell[axis] * pixels[axis]));
  const level = Math.max(0, Math.min(source.levels - 1, Math.ceil(Math.log2(Math.max(...sizes, 1)) - 1e-9)));
  const ranks = [down, across].map(({ range: [from, to] }, axis) => {
    const start = (axis ? source.columns : source.rows)[0];
    const size = source.cell[axis] * TILE * 2 ** level;
    const first = Math.floor((from - start) / size + 1e-9);
    return times(Math.ceil((to - start) / size - 1e-9) - first, (index) => first + index);
  });
  return ranks[0].flatMap((row) => ranks[1].map((column) => [level, row, column]));
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

/* The canvas of a map. `draw({ width, height, shade })` sets how it looks; tiles that are not there yet are stood in for
 * by coarser ones that are, and on a new map by the last picture of the one before (`backdrop`, a canvas or null).
 * `painted` hears the peak of the colours and the places of the tiles in view. */
function mapCanvas(element, source, painted, backdrop) {
  const canvas = make("canvas", { class: "gl-canvas", "data-painted": 0 });
  const pen = canvas.getContext("2d");
  const store = tileStore(source, () => repaint());
  const [down, across] = [source.rows, source.columns].map((span, axis) => viewport(span, 8 * source.cell[axis]));
  const look = { width: 1, height: 1, shade: SHADES.root };
  let [stamp, pictures] = ["", new Map()];

  function picture(place, paint, peak, surface) {
    const tile = store.get(place);
    const name = String(place);
    if (tile && !pictures.has(name)) {
      const colours = palette(paint, source.kind, tile.peak / (peak || 1));
      pictures.set(name, tilePicture(tile, source, place, colours, surface));
    }
    return tile ? pictures.get(name) : null;
  }
  /* The part of the finest picture that there is of a place: { from, left, top, side } in cells of that picture. */
  function standIn([level, row, column], ...colours) {
    for (let up = 0; level + up < source.levels; up += 1) {
      const from = picture([level + up, row >> up, column >> up], ...colours);
      const side = TILE / 2 ** up;
      if (from) return { from, left: (column % 2 ** up) * side, top: (row % 2 ** up) * side, side };
    }
    return null;
  }
  function paste({ from, left, top, side }, [level, row, column], x, y) {
    const [columns, rows] = [Math.min(side, from.width - left), Math.min(side, from.height - top)];
    if (columns <= 0 || rows <= 0) return;
    const size = source.cell.map((count) => count * TILE * 2 ** level);
    const [first, start] = [source.rows[0] + row * size[0], source.columns[0] + column * size[1]];
    // Whole pixels, so that no seam shows between tiles.
    const [px, py] = [x(start), y(first)].map(Math.round);
    const ends = [x(start + (columns / side) * size[1]), y(first + (rows / side) * size[0])].map(Math.round);
    const [width, height] = [ends[0] - px, ends[1] - py];
    pen.fillRect(px, py, width, height);
    pen.drawImage(from, left, top, columns, rows, px, py, width, height);
  }
  function repaint() {
    const ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [look.width, look.height].map((size) => Math.round(size * ratio));
    Object.assign(canvas, { width, height });
    pen.imageSmoothingEnabled = false;
    if (backdrop && backdrop.width) pen.drawImage(backdrop, 0, 0, width, height);
    pen.fillStyle = hatching(pen, getComputedStyle(element).getPropertyValue("--jp-ui-font-color2"));
    const places = tilesInView(source, across, down, [look.height, look.width]);
    places.forEach(store.get);
    store.want(places);
    const [peak, surface] = [store.peak(), rgb(element, "--jp-layout-color1")];
    const now = [peak, look.shade, surface].join();
    if (now !== stamp) [stamp, pictures] = [now, new Map()];
    const paint = painter(element, source, look.shade);
    const [x, y] = [scale(...across.range, 0, width), scale(...down.range, 0, height)];
    for (const place of places) {
      const found = standIn(place, paint, peak, surface);
      if (found) paste(found, place, x, y);
    }
    const missing = places.filter((place) => !store.get(place)).length;
    if (!missing) backdrop = null;
    const painting = Number(canvas.dataset.painted) + (missing ? 0 : 1);
    assign(canvas, { "data-missing": missing, "data-painted": painting });
    painted(peak, places);
  }
  const draw = (changes) => {
    Object.assign(look, changes);
    repaint();
  };
  return { canvas, across, down, draw };
}

function legend(paint, kind, peak, shade, x, top, bottom) {
  const low = kind === "signed" ? -1 : 0;
  const steps = 64;
  const at = scale(low, 1, bottom, top);
  const height = (bottom - top) / steps;
  const inverse = shade === SHADES.root ? (level) => level ** 2 : (level) => level;
  const cells = times(steps, (index) => {
    const level = low + ((index + 0.5) / steps) * (1 - low);
    const cell = box(x, bottom - (index + 1) * height, 10, height + 0.3, "");
    cell.style.fill = `rgb(${paint(Math.sign(level) * inverse(Math.abs(level))).join(" ")})`;
    return cell;
  });
  const values = low < 0 ? [-1, -0.25, 0, 0.25, 1] : [0, 0.1, 0.25, 0.5, 1];
  const marks = values.flatMap((value) => {
    const y = at(Math.sign(value) * shade(Math.abs(value)));
    return [line(x + 10, y, x + 13, y, "gl-axis"), text(x + 16, y + 4, number(value * peak))];
  });
  const name = low < 0 ? "signed" : "norm";
  return [...cells, box(x, top, 10, bottom - top, "gl-edge"), ...marks, text(x, top - 10, name, "gl-soft")];
}

/* Letters between the axes of a map and their positions, where a base has room for one. */
function lettersAt(letterOf, { down, across }, x, y, { left, bottom }) {
  const named = ([from, to], draw) => {
    const first = Math.ceil(from);
    const count = letterOf && to - from <= NAMED ? Math.max(0, Math.floor(to) - first) : 0;
    return times(count, (index) => draw(first + index + 0.5, letterOf(first + index) ?? ""));
  };
  return [
    ...named(across.range, (middle, letter) => text(x(middle), bottom + 9, letter, "gl-named gl-middle")),
    ...named(down.range, (middle, letter) => text(left - 3, y(middle) + 3, letter, "gl-named gl-end")),
  ];
}

/* Pointer, wheel and keys on a map at `place`: drag pans, the wheel zooms while the map has the focus or Ctrl is held
 * (a page must scroll past it), + − 0 zoom too, a click pins. `at` gives [row, column] of a point, or null outside. */
function gestures(drawing, map, place, { at, pointed, clicked, moved }) {
  let grip = null;
  const spot = (event) => {
    const { left, top, width } = drawing.getBoundingClientRect();
    const ratio = drawing.viewBox.baseVal.width / width;
    return [(event.clientX - left) * ratio, (event.clientY - top) * ratio];
  };
  const zoom = (factor, [row, column]) => {
    map.down.zoom(factor, row);
    map.across.zoom(factor, column);
    moved();
  };
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && at(spot(event))) grip = { from: spot(event), dragged: false };
  });
  drawing.addEventListener("pointermove", (event) => {
    const here = spot(event);
    if (grip && Math.hypot(here[0] - grip.from[0], here[1] - grip.from[1]) > (grip.dragged ? 0 : 4)) {
      drawing.setPointerCapture(event.pointerId);
      map.across.shift(((grip.from[0] - here[0]) / place.width) * map.across.size);
      map.down.shift(((grip.from[1] - here[1]) / place.height) * map.down.size);
      grip = { from: here, dragged: true };
      moved();
    } else if (at(here)) pointed(at(here));
  });
  drawing.addEventListener("pointerup", (event) => {
    if (grip && !grip.dragged) {
      clicked(at(spot(event)));
      drawing.focus({ preventScroll: true });
    }
    grip = null;
  });
  drawing.addEventListener("wheel", (event) => {
    const here = at(spot(event));
    const leaving = event.deltaY > 0 && map.across.whole && map.down.whole;
    if (!here || leaving || !(event.ctrlKey || document.activeElement === drawing)) return;
    event.preventDefault();
    zoom(2 ** (event.deltaY / 240), here);
  }, { passive: false });
  drawing.addEventListener("keydown", (event) => {
    const factor = { "+": 0.5, "=": 0.5, "-": 2, 0: Infinity }[event.key];
    if (!factor || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    zoom(factor, [map.down.middle, map.across.middle]);
  });
}

/* A map with axes, cursor and legend; `pointed` and `clicked` hear [row, column] in bases, `seen` the places of the tiles
 * in view; `letterOf` gives the letter of a base. It keeps the view of the viewer `before` it, if that showed the same
 * bases. */
function tilesViewer(element, holder, source, about) {
  const { label, pointed, clicked, seen = null, origin = null, letterOf = null, before = null } = about;
  const [axes, key] = [make("g"), make("g")];
  let [place, shade, marks, x, y] = [{}, SHADES.root, {}, null, null];
  let [row, column, other, reach, chosen] = [];
  const map = mapCanvas(element, source, (peak, places) => {
    seen?.(places);
    const { right, top, bottom } = place;
    key.replaceChildren(...legend(painter(element, source, shade), source.kind, peak, shade, right + 16, top, bottom));
  }, before?.map.canvas ?? null);
  const within = (base, [from, to]) => base !== null && base >= from && base < to;
  for (const side of ["across", "down"]) {
    const old = before?.map[side];
    if (old && String(old.limits) === String(map[side].limits)) map[side].show(...old.range);
  }

  function measure() {
    const [top, left] = [24, LEFT];
    const room = widthOf(holder);
    const side = Math.min(room - left - 76, room > 700 ? 512 : 400);
    const [tall, wide] = [source.rows, source.columns].map(([start, stop]) => stop - start);
    const height = Math.max(120, Math.min(side, (side * tall) / wide));
    place = { left, top, width: side, height, right: left + side, bottom: top + height };
  }
  function draw(look) {
    shade = look;
    measure();
    const { left, top, width, height, right, bottom } = place;
    row = hairline(left, right, "gl-cursor", false);
    [column, other] = [hairline(top, bottom), hairline(top, bottom, "gl-cursor gl-partner")];
    [reach, chosen] = ["gl-reach", "gl-chosen"].map((name) => make("rect", { class: name }));
    const clip = clipped(box(left, top, width, height, ""));
    const inside = make("g", { class: "gl-on-map", ...clip.by }, chosen, column.node, other.node,
      row.node, reach);
    const drawing = sheet(holder, bottom + 48, label, clip.node, box(left, top, width, height, "gl-edge"), inside, axes,
      text(left, 12, "↓ base that looks", "gl-soft"), key);
    assign(drawing, { tabindex: 0, role: "application" });
    holder.prepend(map.canvas);
    const { width: wide, height: tall } = drawing.viewBox.baseVal;
    const shares = { left: left / wide, top: top / tall, width: width / wide, height: height / tall };
    for (const [side, share] of Object.entries(shares)) map.canvas.style[side] = `${100 * share}%`;
    const at = ([px, py]) => (px >= left && px < right && py >= top && py < bottom
      ? [Math.floor(y.invert(py)), Math.floor(x.invert(px))] : null);
    gestures(drawing, map, place, { at, pointed, clicked, moved: () => [map.draw({}), refresh()] });
    map.draw({ width, height, shade });
    refresh();
  }
  /* What follows the view: axes, borders, cursor. */
  function refresh() {
    const { left, top, right, bottom } = place;
    x = scale(...map.across.range, left, right);
    y = scale(...map.down.range, top, bottom);
    x.invert = scale(left, right, ...map.across.range);
    y.invert = scale(top, bottom, ...map.down.range);
    const [rows, columns] = [map.down.range, map.across.range];
    const border = [within(origin, columns) ? line(x(origin), top, x(origin), bottom, "gl-origin gl-over") : null,
      within(origin, rows) ? line(left, y(origin), right, y(origin), "gl-origin gl-over") : null];
    const named = lettersAt(letterOf, map, x, y, place);
    const positions = [leftAxis(rows[0], rows[1] - 1, y, left, { middle: 0.5 }),
      bottomAxis(...columns, x, bottom, { name: "base looked at" })];
    const moves = named.length ? ["translate(-7)", "translate(0 8)"] : [];
    moves.forEach((transform, rank) => assign(positions[rank], { transform }));
    axes.replaceChildren(...border.filter(Boolean), ...positions, ...named);
    mark(marks);
  }
  function mark(now) {
    marks = now;
    const { base = null, partner = null, span = null, selection = null } = marks;
    row.move(base, y, ...map.down.range);
    column.move(base, x, ...map.across.range);
    other.move(partner, x, ...map.across.range);
    reach.style.display = span ? "" : "none";
    chosen.style.display = selection ? "" : "none";
    if (span) assign(reach, { x: x(span[0]), width: x(span[1]) - x(span[0]), y: y(base), height: y(base + 1) - y(base) });
    if (selection) {
      const [from, to] = selection;
      assign(chosen, { x: x(from), width: x(to) - x(from), y: place.top, height: place.height });
    }
  }
  return { draw, mark, map, get x() { return x; }, get place() { return place; } };
}
