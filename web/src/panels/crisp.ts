import type { Attachment } from "svelte/attachments";

/** Pixels of a side up to which a picture is enlarged pixel by pixel; larger ones are photographs, and smoothed. */
export const TINY = 32;

/** Enlarges a tiny picture pixel by pixel. */
export const crispIfTiny: Attachment<HTMLImageElement> = (picture) => {
  const look = (): void => {
    const isTiny = picture.naturalWidth > 0 && Math.max(picture.naturalWidth, picture.naturalHeight) <= TINY;
    picture.style.imageRendering = isTiny ? "pixelated" : "";
  };
  look();
  picture.addEventListener("load", look);
  return () => picture.removeEventListener("load", look);
};
