import type { Attachment } from "svelte/attachments";

/**
 * The part of an element that is on screen, in pixels from its own upper edge, whatever scrolls around it.
 *
 * It takes the whole window for visible: a panel that cuts some of it off only makes a few more rows be drawn.
 */
export class VisiblePart {
  top = $state(0);
  bottom = $state(0);
  width = $state(0);

  readonly track: Attachment<HTMLElement> = (element) => {
    let asked = 0;
    const measure = (): void => {
      asked = 0;
      const box = element.getBoundingClientRect();
      this.top = -box.top;
      this.bottom = window.innerHeight - box.top;
      this.width = element.clientWidth;
    };
    const ask = (): void => {
      asked ||= requestAnimationFrame(measure);
    };
    const sizes = new ResizeObserver(ask);
    sizes.observe(element);
    if (element.parentElement) sizes.observe(element.parentElement);
    document.addEventListener("scroll", ask, { capture: true, passive: true });
    window.addEventListener("resize", ask);
    measure();
    return () => {
      cancelAnimationFrame(asked);
      sizes.disconnect();
      document.removeEventListener("scroll", ask, { capture: true });
      window.removeEventListener("resize", ask);
    };
  };
}
