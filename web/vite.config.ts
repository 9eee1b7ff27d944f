import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type UserConfig } from "vite";

const page: UserConfig = {
  build: {
    outDir: "../src/dinoscope/web",
    emptyOutDir: true,
    modulePreload: { polyfill: false }, // its polyfill is an inline script, which the page's own security policy forbids
    assetsInlineLimit: 0,
  },
};

// The report: one script and one style sheet that Python writes into one HTML file.
const report: UserConfig = {
  build: {
    outDir: "../src/dinoscope/web/report",
    emptyOutDir: true,
    copyPublicDir: false,
    cssCodeSplit: false,
    rolldownOptions: {
      input: "src/report.ts",
      output: { format: "iife", entryFileNames: "report.js", assetFileNames: "report[extname]" },
    },
  },
};

export default defineConfig(({ mode }) => ({
  base: "./",
  plugins: [svelte()],
  server: { proxy: { "/api": process.env["DINOSCOPE"] ?? "http://127.0.0.1:8347" } },
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  test: { include: ["tests/**/*.test.ts"] },
  ...(mode === "report" ? report : page),
}));
