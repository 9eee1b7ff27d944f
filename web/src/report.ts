import { mount } from "svelte";
import App from "./App.svelte";
import { mountFramed } from "./framed.svelte";
import { browserAddress, type AddressBar } from "./lib/history";
import { Explorer } from "./state/explorer.svelte";
import { FileSource } from "./lib/file";

// The file is a document with the explorer as its second tab. The part of the address after # tells which is shown: the
// explorer's own has a "=" in it. In a notebook there is no document, and the explorer is all there is.

const views = document.getElementById("views");
const target = document.getElementById("app");
let isMounted = false;
let readTo = 0; // how far the document was scrolled when the explorer was opened

function isExploring(): boolean {
  return document.body.classList.contains("exploring");
}

/** The explorer's part of the address, while the explorer is shown. */
const bar: AddressBar = {
  ...browserAddress,
  write(hash, push) {
    if (isExploring()) browserAddress.write(hash, push);
  },
  watch: (then) =>
    browserAddress.watch((hash) => {
      if (hash.includes("=")) then(hash);
    }),
};

function show(exploring: boolean): void {
  if (!target || exploring === isExploring()) return;
  if (exploring) readTo = window.scrollY;
  document.body.classList.toggle("exploring", exploring);
  for (const button of views?.querySelectorAll("button") ?? []) {
    button.setAttribute("aria-pressed", String((button.value === "explore") === exploring));
  }
  if (exploring && !isMounted) {
    isMounted = true;
    mount(App, { target, props: { explorer: new Explorer(new FileSource(), bar) } });
  }
  window.scrollTo({ top: exploring ? 0 : readTo, behavior: "instant" });
}

if (views) views.hidden = false;
else if (target) mountFramed(target);
let left = ""; // what the explorer showed last
views?.addEventListener("click", (event) => {
  const value = event.target instanceof Element ? event.target.closest("button")?.value : undefined;
  if (!value || (value === "explore") === isExploring()) return;
  if (value === "report") {
    left = window.location.hash;
    window.history.pushState(null, "", window.location.pathname + window.location.search);
  } else if (left) {
    window.history.pushState(null, "", left);
  }
  show(value === "explore");
});

function follow(): void {
  show(window.location.hash.includes("="));
}
window.addEventListener("popstate", follow); // before the explorer's own, which needs to be seen
follow();
window.addEventListener("pagehide", () => {
  if (!isExploring() && window.location.hash.includes("=")) browserAddress.write("report", false);
});

// Links within the report move the page and leave the address as it is; those to an image open the explorer there.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href^="#"]') : null;
  const aim = link && document.getElementById(link.hash.slice(1));
  if (!aim) return;
  event.preventDefault();
  for (let fold = aim.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null) fold.open = true;
  aim.scrollIntoView();
  aim.setAttribute("tabindex", "-1");
  aim.focus({ preventScroll: true });
});

// What is wider than the page says so, and can be scrolled by keys.
const widths = new ResizeObserver((entries) => {
  for (const { target: box } of entries) {
    const isWider = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("wider", isWider);
    if (isWider) box.setAttribute("tabindex", "0");
  }
});
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("#report .scroll")) widths.observe(box);
});

// Browsers that do not know the style's rule for it print what is folded, too.
let opened: HTMLDetailsElement[] = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll<HTMLDetailsElement>("#report details:not([open])")];
  for (const fold of opened) fold.open = true;
});
window.addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});

/** The sections' pictures, light or dark, follow what the explorer was set to. */
function matchPictures(): void {
  const theme = document.documentElement.dataset["theme"];
  if (!theme) return;
  for (const source of document.querySelectorAll<HTMLSourceElement>("#report source")) source.media = theme === "dark" ? "all" : "not all";
}
document.addEventListener("DOMContentLoaded", matchPictures);
new MutationObserver(matchPictures).observe(document.documentElement, { attributeFilter: ["data-theme"] });
