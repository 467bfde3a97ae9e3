/* The lens, part 1: elements, numbers, arrays, letters, axes. Knows no panel and no record.
 * Text enters the document as text nodes and attributes only. */

// elements

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "g", "path", "rect", "line", "text", "image", "circle", "title", "clipPath"]);

function make(tag, attributes = {}, ...children) {
  const node = SHAPES.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  assign(node, attributes);
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

function assign(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
}

const text = (x, y, words, look = "") => make("text", { x, y, class: look }, words);
const line = (x1, y1, x2, y2, look) => make("line", { x1, y1, x2, y2, class: look });
const box = (x, y, width, height, look) => make("rect", { x, y, width, height, class: look });
const widthOf = (node) => Math.max(node.clientWidth, 240);

/* A shape that others are clipped to, and the attribute that does it. Names must differ all over a page, on which several
 * lenses may stand. */
function clipped(shape) {
  const id = `gl-clip-${Math.random().toString(36).slice(2)}`;
  return { node: make("clipPath", { id }, shape), by: { "clip-path": `url(#${id})` } };
}

/* A drawing as wide as its holder, whose content it replaces. It scales with the holder on paper. */
function sheet(holder, height, label, ...children) {
  const width = widthOf(holder);
  const look = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label };
  const drawing = make("svg", look, ...children);
  holder.replaceChildren(drawing);
  return drawing;
}

/* Calls back with the position of the pointer, and of a click, in the drawing's own units. */
function follow(drawing, pointed, clicked) {
  const place = (event) => {
    const { left, top, width } = drawing.getBoundingClientRect();
    const ratio = drawing.viewBox.baseVal.width / width;
    return [(event.clientX - left) * ratio, (event.clientY - top) * ratio];
  };
  drawing.addEventListener("pointermove", (event) => pointed(...place(event)));
  drawing.addEventListener("click", (event) => clicked(...place(event)));
}

/* Light or dark as the host is: JupyterLab says it on its body, documentation on its root, elsewhere the system does.
 * Gives the function that stops following. */
function followTheme(element, changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => {
    const { jpThemeLight } = document.body.dataset;
    const { theme } = document.documentElement.dataset;
    if (jpThemeLight) return jpThemeLight === "false";
    return ["light", "dark"].includes(theme) ? theme === "dark" : system.matches;
  };
  const dress = () => element.classList.toggle("gl-dark", dark());
  const turned = () => {
    if (element.classList.contains("gl-dark") === dark()) return;
    dress();
    changed();
  };
  const watcher = new MutationObserver(turned);
  const watched = { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme"] };
  [document.body, document.documentElement].forEach((node) => watcher.observe(node, watched));
  system.addEventListener("change", turned);
  dress();
  return () => {
    watcher.disconnect();
    system.removeEventListener("change", turned);
  };
}

/* Calls back when the width of an element has changed; gives the function that stops it. */
function followWidth(element, changed) {
  let width = element.clientWidth;
  const sizes = new ResizeObserver(() => {
    if (element.clientWidth !== width) requestAnimationFrame(changed);
    width = element.clientWidth;
  });
  sizes.observe(element);
  return () => sizes.disconnect();
}

// numbers

const POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const power = (digits) => digits.replace(/\d/g, (digit) => POWERS[digit]).replace("-", "⁻").replace("+", "");
const minus = (words) => words.replace("-", "−");

/* Three significant figures. */
function number(value, plus = false) {
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  let words = size >= 1000 ? rounded.toLocaleString("en-GB") : value.toPrecision(3);
  if (value === 0) words = "0";
  else if (size < 1e-3 || size >= 1e6) {
    const [mantissa, exponent] = value.toExponential(1).split("e");
    words = `${mantissa} × 10${power(exponent)}`;
  }
  return (plus && value > 0 ? "+" : "") + minus(words);
}

const whole = (value) => minus(Math.round(value).toLocaleString("en-GB"));
const round = (value) => minus(value.toLocaleString("en-GB", { maximumSignificantDigits: 6 }));
const coarse = (part) => part === 1 || (part >= 0.1 && part < 0.995) || part >= 1.005;
const percent = (part) => `${coarse(part) ? Math.round(part * 100) : number(part * 100)} %`;
const bases = (count) => `${whole(count)} base${Math.round(count) === 1 ? "" : "s"}`;
const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);
const times = (count, act) => Array.from({ length: count }, (_, index) => act(index));
const indexOfLargest = (values) => values.reduce((best, value, index) => (value > values[best] ? index : best), 0);

function median(values) {
  const sorted = [...values].sort((one, two) => one - two);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/* Lowest and highest value with 0 between them, and a little room. */
function extent(values) {
  let [low, high] = [0, 0];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const room = (high - low) * 0.02;
  return low === high ? [-1, 1] : [low && low - room, high && high + room];
}

// arrays

/* The arrays of a payload: base64 of zlib. Gives a function from an array's description to { shape, values, peak }. */
async function reader(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const known = new WeakMap();
  return (entry) => {
    if (!known.has(entry)) known.set(entry, decode(buffer, entry));
    return known.get(entry);
  };
}

/* Bytes hold cube roots as a fraction of the peak; 255 is masked. */
function decode(buffer, { at, shape, type, peak }) {
  const size = shape.reduce((product, count) => product * count, 1);
  if (type === "float32") return { shape, values: new Float32Array(buffer.slice(at, at + 4 * size)) };
  const middle = type === "signed" ? 127 : 0;
  const value = (code) => (code === 255 ? NaN : peak * ((code - middle) / (254 - middle)) ** 3);
  const codes = new Uint8Array(buffer, at, size);
  return { shape, peak, codes, values: Float32Array.from(codes, value) };
}

// letters

/* Outlines in a box of 100 by 100. */
const LETTERS = {
  A: "M0 100L37 0H63L100 100H76L69 78H31L24 100ZM37 60H63L50 21Z",
  C: "M97 35C94 12 77 0 53 0C20 0 2 19 2 50C2 81 20 100 53 100C78 100 95 87 98 63H74C72 75 65 81 53 81"
    + "C36 81 27 70 27 50C27 30 36 19 53 19C64 19 72 24 74 35Z",
  G: "M97 33C93 11 77 0 53 0C20 0 2 19 2 50C2 81 20 100 54 100C72 100 88 94 98 83V46H54V63H75V74C70 79 63 81 55 81"
    + "C37 81 27 70 27 50C27 30 36 19 53 19C64 19 71 24 74 33Z",
  T: "M0 0H100V19H62V100H38V19H0Z",
  U: "M4 0H28V60C28 75 36 82 50 82C64 82 72 75 72 60V0H96V62C96 88 78 100 50 100C22 100 4 88 4 62Z",
};
const kindOf = (letter) => (LETTERS[letter.toUpperCase()] ? letter.toUpperCase() : "other");

/* A letter that fills a box; below the axis it stands on its head and is lighter. */
function glyph(letter, x, y, width, height, below) {
  const kind = kindOf(letter);
  const look = `gl-base-${kind}${below ? " gl-below" : ""}`;
  if (kind === "other") return text(x + width / 2, y + height / 2 + 4, letter, `${look} gl-middle`);
  const size = `${(0.94 * width) / 100} ${(below ? -height : height) / 100}`;
  const place = `translate(${x + 0.03 * width} ${below ? y + height : y}) scale(${size})`;
  return make("path", { d: LETTERS[kind], class: look, transform: place });
}

/* A letter of the sequence in the code font. */
const spell = (letter, x, y, changed = false) =>
  text(x, y, letter, `gl-letter gl-middle gl-ink-${kindOf(letter)}${changed ? " gl-changed" : ""}`);

/* Slanted strokes over a masked stretch. */
function hatch(x, y, width, height) {
  let strokes = "";
  for (let shift = 6; shift < width + height; shift += 6) {
    const [left, right] = [Math.max(0, shift - height), Math.min(width, shift)];
    strokes += `M${x + left} ${y + shift - left}L${x + right} ${y + shift - right}`;
  }
  return make("path", { d: strokes, class: "gl-hatch" }, make("title", {}, "masked"));
}

// axes

/* The 1, 2 or 5 times a power of ten that is next above. */
function roundStep(rough) {
  const unit = 10 ** Math.floor(Math.log10(rough));
  return unit * [1, 2, 5, 10].find((factor) => unit * factor >= rough * 0.999);
}

function ticks(low, high, most) {
  const step = roundStep((high - low) / Math.max(most, 1) || 1);
  const first = Math.ceil(low / step - 1e-9);
  return times(Math.floor(high / step + 1e-9) - first + 1, (index) => (first + index) * step);
}

/* Ticks below: of bases at their middle, of values at their place. */
function bottomAxis(low, high, x, y, { name = "", values = false, gap = 40 } = {}) {
  const room = Math.max(gap, 16 + 7 * whole(high).length);
  const marks = ticks(low, values ? high : high - 1, (x(high) - x(low)) / room);
  const shown = values ? marks : marks.filter(Number.isInteger);
  const parts = shown.flatMap((tick) => {
    const at = x(values ? tick : tick + 0.5);
    return [line(at, y, at, y + 4, "gl-axis"), text(at, y + 16, round(tick), "gl-middle")];
  });
  const title = text((x(low) + x(high)) / 2, y + 32, name, "gl-middle gl-soft");
  return make("g", {}, line(x(low), y, x(high), y, "gl-axis"), parts, title);
}

function leftAxis(low, high, y, x, { gap = 28, middle = 0, name = "" } = {}) {
  const marks = ticks(low, high, Math.abs(y(high) - y(low)) / gap);
  const shown = middle ? marks.filter(Number.isInteger) : marks;
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const digits = largest < 0.01 && !middle ? Math.floor(Math.log10(largest)) : 0;
  const parts = shown.flatMap((tick) => {
    const at = y(tick + middle);
    return [line(x - 4, at, x, at, "gl-axis"), text(x - 8, at + 4, round(tick / 10 ** digits), "gl-end")];
  });
  const unit = digits ? ` × 10${power(String(digits))}` : "";
  const turned = `translate(12 ${(y(low) + y(high)) / 2}) rotate(-90)`;
  return make("g", {}, parts, make("text", { transform: turned, class: "gl-middle gl-soft" }, name + unit));
}

/* The cursor at a base: a faint stripe as wide as the base with a line through its middle. Its move() takes the base,
 * the scale, and the range that the drawing covers; outside of it the cursor hides. */
function hairline(top, bottom, look = "gl-cursor", upright = true) {
  const stripe = box(0, 0, 0, 0, "gl-stripe");
  const thread = line(0, 0, 0, 0, "gl-hairline");
  const node = make("g", { class: look }, stripe, thread);
  const move = (base, at, low, high, name = base) => {
    const seen = base !== null && base >= low && base < high;
    node.style.display = seen ? "" : "none";
    delete node.dataset.cursor;
    if (!seen) return;
    node.dataset.cursor = name;
    const [from, middle, to] = [at(base), at(base + 0.5), at(base + 1)];
    if (upright) {
      assign(stripe, { x: from, width: to - from, y: top, height: bottom - top });
      assign(thread, { x1: middle, x2: middle, y1: top, y2: bottom });
    } else {
      assign(stripe, { y: from, height: to - from, x: top, width: bottom - top });
      assign(thread, { y1: middle, y2: middle, x1: top, x2: bottom });
    }
  };
  return { node, move };
}
