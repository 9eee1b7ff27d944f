import { mount } from "svelte";
import App from "./App.svelte";
import { Explorer } from "./state/explorer.svelte";
import { HttpSource } from "./lib/http";

const target = document.getElementById("app");
if (target) mount(App, { target, props: { explorer: new Explorer(new HttpSource()) } });
