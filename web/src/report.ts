import { mount } from "svelte";
import App from "./App.svelte";
import { Explorer } from "./state/explorer.svelte";
import { FileSource } from "./lib/file";

const target = document.getElementById("app");
if (target) mount(App, { target, props: { explorer: new Explorer(new FileSource()) } });

// The part of the address after # is the explorer's: links within the report move the page without it.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href^="#"]') : null;
  const aim = link && document.getElementById(link.hash.slice(1));
  if (!aim) return;
  event.preventDefault();
  aim.scrollIntoView();
  if (aim !== target) aim.setAttribute("tabindex", "-1");
  aim.focus({ preventScroll: true });
});

/** The sections' pictures, light or dark, follow what the explorer was set to. */
function matchPictures(): void {
  const isDark = document.documentElement.dataset["theme"] === "dark";
  for (const source of document.querySelectorAll<HTMLSourceElement>("#report source")) source.media = isDark ? "all" : "not all";
}
document.addEventListener("DOMContentLoaded", matchPictures);
new MutationObserver(matchPictures).observe(document.documentElement, { attributeFilter: ["data-theme"] });
