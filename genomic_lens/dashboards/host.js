/* Nothing to see: it dresses the panels beside it as the host is dressed, and tells figures how wide they are. */

export default {
  render({ el }) {
    const stops = hosted(el, () => {});
    setTimeout(() => window.dispatchEvent(new Event("resize")), REST);
    return () => stops.forEach((stop) => stop());
  },
};
