import { mount } from "svelte";
import App from "./App.svelte";
import { FileSource } from "./lib/file";
import type { AddressBar } from "./lib/history";
import { Explorer } from "./state/explorer.svelte";

/** A frame in a notebook has no address of its own: what is shown there is not written anywhere. */
const nowhere: AddressBar = {
  read: () => "",
  write: () => undefined,
  back: () => undefined,
  watch: () => () => undefined,
};

/** Show the explorer alone, and tell the page around it which images are selected; the open image counts as one. */
export function mountFramed(target: Element): void {
  const explorer = new Explorer(new FileSource(), nowhere);
  mount(App, { target, props: { explorer } });
  $effect.root(() => {
    $effect(() => {
      const open = explorer.image.row;
      const rows = explorer.selection.current ? explorer.selectedRows() : open === null ? [] : [open];
      window.parent.postMessage({ dinoscope: "selection", rows }, "*");
    });
  });
}
