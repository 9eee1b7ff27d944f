/** Files that somebody offers as a question. */

/** What the server takes at most. */
export const MOST_BYTES = 20_000_000;
const EXTENSION = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?)$/i;

/** Whether it looks like a picture that the server can read; it decides itself in the end. */
export function isImage(file: { type: string; name: string }): boolean {
  return file.type === "" ? EXTENSION.test(file.name) : file.type.startsWith("image/") && !file.type.includes("svg");
}

/** The first image of what was dropped or pasted; if there is none, the first file, so that it can be refused in words. */
export function imageAmong(files: ArrayLike<File> | null | undefined): File | null {
  const all = Array.from(files ?? []);
  return all.find(isImage) ?? all[0] ?? null;
}

/** Why a file is not sent, or null. */
export function refusal(file: { type: string; name: string; size: number }): "notAnImage" | "tooLarge" | null {
  if (!isImage(file)) return "notAnImage";
  return file.size > MOST_BYTES ? "tooLarge" : null;
}
