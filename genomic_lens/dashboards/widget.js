/* What the viewers share as widgets. */

const PAUSE = 50; // milliseconds between two messages about the cursor
const REST = 100; // milliseconds after which the pointer is said to rest
const SILENCE = 8000; // milliseconds after which a kernel that does not answer is said to be gone, unless it is known to compute
const ENDS = new Set(["dead", "terminating", "restarting", "autorestarting"]);

/* What came as a buffer of the kernel, as bytes of its own. */
const bytes = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength));

/* Dresses the element as the host is dressed, and redraws when that or the width changes. Figures of plotly beside it
 * measure themselves only when the window changes, so they are told, those that come later, too. Gives the functions to
 * call at the end. */
function hosted(el, redraw) {
  el.classList.add("gl-lens", "gl-widget");
  const alone = !getComputedStyle(document.documentElement).getPropertyValue("--jp-layout-color1").trim();
  el.classList.toggle("gl-alone", alone);
  const tell = () => window.dispatchEvent(new Event("resize"));
  const figure = (node) => node.matches?.(".plot-container") || node.querySelector?.(".plot-container");
  /* Widths of the figures that do not fill their room: a new layout makes them forget it. */
  const misfits = () => [...(el.closest(".gl-dashboard")?.querySelectorAll(".js-plotly-plot") ?? [])]
    .map((plot) => [plot.clientWidth, plot.querySelector(".main-svg")?.clientWidth ?? 0])
    .filter(([room, own]) => room && own && Math.abs(room - own) > 1).join();
  let [told, timer] = ["", null];
  const fit = () => {
    const now = misfits();
    if (now && now !== told) tell();
    told = now;
  };
  const coming = new MutationObserver((changes) => {
    if (changes.some(({ addedNodes }) => [...addedNodes].some(figure))) setTimeout(tell, PAUSE);
    clearTimeout(timer);
    timer = setTimeout(fit, REST);
  });
  const resized = () => {
    redraw();
    tell();
    const home = el.closest(".gl-dashboard");
    if (home) coming.observe(home, { childList: true, subtree: true });
  };
  const still = () => [coming.disconnect(), clearTimeout(timer)];
  return [followTheme(el, redraw), followWidth(el, resized), still];
}

/* Lists of Python stand for a stretch if they hold two numbers. */
const stretch = (list) => (list?.length === 2 ? list : null);

/* Sets values of the model at once, and sends them to the kernel at most every PAUSE milliseconds. */
function sender(model) {
  let timer = null;
  return (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    timer ??= setTimeout(() => {
      timer = null;
      model.save_changes();
    }, PAUSE);
  };
}

/* A line that appears when the kernel is gone: pictures stay, but nothing new can be computed. JupyterLab says when a
 * kernel ends; elsewhere it is silence that tells. `send` sends a message, `alive` hides the line, `stop` ends listening. */
function banner(model) {
  const words = "The kernel does not answer. What is drawn stays; restart the kernel and run the cell again to go on.";
  const node = make("p", { class: "gl-banner", role: "alert", hidden: true }, words);
  const show = (gone) => { node.hidden = !gone; };
  const kernel = model.widget_manager?.kernel;
  const ended = () => show(true);
  const turned = (_, status) => ENDS.has(status) && show(true);
  model.on("comm_live_update", ended);
  kernel?.disposed?.connect(ended);
  kernel?.statusChanged?.connect(turned);
  const send = (content) => {
    try {
      model.send(content);
    } catch {
      show(true);
    }
  };
  const stop = () => {
    model.off("comm_live_update", ended);
    kernel?.disposed?.disconnect(ended);
    kernel?.statusChanged?.disconnect(turned);
  };
  return { node, send, stop, silent: () => kernel?.status !== "busy" && show(true), alive: () => show(false) };
}
