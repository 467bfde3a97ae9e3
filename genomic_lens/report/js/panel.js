/* The lens, part 2: what its panels share, and the prediction. A panel is built once from the lens, redrawn by draw()
 * when the sequence, a choice or the width changes, and told by mark() that the cursor moved. */

const LEFT = 72; // pixels left of a drawing's data, for the axis: room for 1,000,000

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

/* One select a field [key, label, words, quiet]. Gives a function from records to the chosen one; each field offers
 * what the fields before it have left. A field with one value is plain text, or hidden if it is quiet. What is wanted
 * belongs to the lens, so panels that share a field (the layer) change together. */
function choosers(lens, frame, fields) {
  const { wanted } = lens;
  const selects = fields.map(([key, label, words = {}, quiet = false]) => {
    const select = make("select", { "aria-label": `${frame.title}: ${label}` });
    select.addEventListener("change", () => {
      wanted[key] = select.value;
      lens.redraw();
    });
    frame.controls.append(make("label", {}, make("span", {}, label), select));
    return { key, words, quiet, select };
  });
  return (records) => {
    let left = records;
    for (const { key, words, quiet, select } of selects) {
      const values = [...new Set(left.map((record) => String(record[key])))];
      const value = values.includes(wanted[key]) ? wanted[key] : values[0];
      const option = (item) => make("option", { value: item, selected: item === value }, words[item] ?? item);
      select.replaceChildren(...values.map(option));
      select.disabled = values.length < 2;
      select.parentNode.hidden = !values.length || (select.disabled && quiet);
      left = left.filter((record) => String(record[key]) === value);
    }
    return left[0] ?? null;
  };
}

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
