/** Files that a person takes away. */
import type { ExportFormat } from "../lib/types";

/** A name for the file: collection and title, safe on every operating system. */
export function fileName(collection: string, title: string, format: Exclude<ExportFormat, "collection"> | "zip"): string {
  const stem = [collection, title].map(slug).filter(Boolean).join("-").slice(0, 80) || "images";
  return `${stem.replace(/-+$/, "")}.${format === "files" ? "txt" : format}`;
}

/** Hand a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // some browsers read it only after the click has returned
}

function slug(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
}

/** Whether a name can be one of a folder at all; the server says more of what it does not take. */
export function isCollectionName(name: string): boolean {
  return /[\p{L}\p{N}]/u.test(name) && !/[\\/:]/.test(name) && name.length <= 80;
}
