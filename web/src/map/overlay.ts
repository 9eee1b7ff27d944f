import { cssColour } from "./colours";
import { freeBeside, NAME_HEIGHT, type Box, type MapName } from "./names";
import { SPACING } from "./size";
import type { View } from "./view";

/** A thumbnail on the canvas: how far it has come in (0 to 1), which way it goes, and where it stands. */
interface Shown {
  presence: number;
  leaving: boolean;
  /** How far it stands from its point now, right and up, in sides of its square. */
  shift: readonly [number, number];
}

/** A thumbnail: the part of a sheet that it takes, without the empty rims of its tile. */
export interface Picture {
  source: CanvasImageSource;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A picture of the star with its place on the canvas. */
interface Placed {
  position: number;
  at: [number, number];
  picture: Picture | null;
}

/** Lines from one place of the map to the images that are nearest to it in truth. */
export interface Star {
  /** Position of the image in the middle; null for an image from outside, which lies at `place`. */
  position: number | null;
  place: [number, number];
  picture: CanvasImageSource | null;
  neighbors: Uint32Array;
}

/** What the overlay reads while it draws. */
export interface OverlayScene {
  view: View;
  /** Place of an image on the map, at this moment of a transition. */
  place(position: number): [number, number];
  picture(position: number): Picture | null;
  colour(position: number): number;
  /** Not among the chosen ones, while there are chosen ones. */
  isDim(position: number): boolean;
  /** Side of a thumbnail in pixels. */
  side: number;
  thumbnails: readonly number[];
  /** How far a thumbnail stands from its point, right and up, in sides of its square; null while that is not known. */
  shift(position: number): readonly [number, number] | null;
  /** The most important first. */
  names: readonly MapName[];
  /** What stands above the map, where a name could not be read. */
  above: readonly Box[];
  /** How often the map is enlarged, 1 where all of it is in view. */
  closer: number;
  star: Star | null;
  hovered: number | null;
  lasso: readonly [number, number][];
  /** Nothing that a person does, and no flight, moves the map at this moment. */
  isAtRest: boolean;
  /** A filter is being drawn: thumbnails come and go at once, since frames in between would hold the next step up. */
  isFiltering: boolean;
  accent: string;
  ground: string;
}

/** Milliseconds that a thumbnail takes to come or to go. */
const COMING = 200;
const MOST_LINES = 24;
/** Pixels of a thumbnail's frame. */
const RIM = 3;
/** From this enlargement on, names fade. */
const FADING = 1.6;
/** The image in the middle of a star against its neighbours. */
const LARGER = 1.5;
/** Pictures up to this many pixels are enlarged without smoothing. */
const CRISP = 64;

interface Arranged {
  star: Star;
  at: [number, number];
  size: number;
  pictures: Placed[];
  dots: Placed[];
}

/** Draws thumbnails, the lines to an image's neighbours and the lasso on a 2-D canvas above the points. */
export class Overlay {
  readonly #shown = new Map<number, Shown>();
  /** How far each name stands from its place, in pixels: it stays there while that is free. */
  readonly #beside = new Map<string, readonly [number, number]>();
  readonly #still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  readonly #font: string;
  #ratio = 1;
  #last = 0;

  constructor(readonly canvas: HTMLCanvasElement, font = "sans-serif") {
    this.#font = font;
  }

  resize(width: number, height: number): void {
    this.#ratio = Math.min(2, window.devicePixelRatio);
    this.canvas.width = Math.max(1, Math.round(width * this.#ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.#ratio));
  }

  /** Draw one frame; true if thumbnails are still coming or going. */
  draw(scene: OverlayScene, now: number): boolean {
    const brush = this.canvas.getContext("2d");
    if (!brush) return false;
    const step = this.#still || scene.isFiltering ? 1 : Math.min(0.5, Math.max(0, (now - this.#last) / COMING));
    this.#last = now;
    brush.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    brush.clearRect(0, 0, scene.view.width, scene.view.height);
    const star = scene.star && this.#arrange(scene, scene.star);
    const isMoving = this.#thumbnails(brush, scene, step, star);
    if (star) this.#drawStar(brush, scene, star);
    else this.#drawNames(brush, scene, scene.isAtRest && !isMoving);
    if (scene.hovered !== null) this.#ring(brush, scene, scene.hovered);
    if (scene.lasso.length > 1) this.#lasso(brush, scene);
    return isMoving;
  }

  /** Where an image is on the canvas, in pixels: its thumbnail, or its point if it shows none. */
  at(scene: OverlayScene, position: number): [number, number] {
    const [across, up] = this.#shown.get(position)?.shift ?? [0, 0];
    const [left, top] = scene.view.toScreen(...scene.place(position));
    const square = scene.side * SPACING; // the shift is one of squares that hold a thumbnail and the gap around it
    return [left + across * square, top - up * square];
  }

  /** The thumbnail under a pixel; a point beside a narrow one is not under it. */
  hit(scene: OverlayScene, left: number, top: number): number | null {
    let best: number | null = null;
    let least = Infinity;
    for (const [position, { presence, leaving }] of this.#shown) {
      if (leaving || presence < 0.5) continue;
      const picture = scene.picture(position);
      if (!picture) continue;
      const [x, y] = this.at(scene, position);
      const [across, down] = [Math.abs(x - left), Math.abs(y - top)];
      const half = scene.side / 2 / Math.max(picture.width, picture.height);
      const isUnder = across <= half * picture.width + RIM && down <= half * picture.height + RIM;
      if (!isUnder || Math.max(across, down) >= least) continue;
      least = Math.max(across, down);
      best = position;
    }
    return best;
  }

  forget(): void {
    this.#shown.clear();
    this.#beside.clear();
  }

  #thumbnails(brush: CanvasRenderingContext2D, scene: OverlayScene, step: number, star: Arranged | null): boolean {
    const wanted = new Set(scene.thumbnails);
    const boxes = star ? [star.at, ...star.pictures.map(({ at }) => at)] : [];
    const isCovered = ([x, y]: [number, number]): boolean =>
      boxes.some(([a, b], i) => {
        const apart = (scene.side + (star?.size ?? 0) * (i === 0 ? LARGER : 1)) / 2;
        return Math.abs(a - x) < apart && Math.abs(b - y) < apart;
      });
    for (const position of wanted) {
      if (!this.#shown.has(position)) this.#shown.set(position, { presence: 0, leaving: false, shift: scene.shift(position) ?? [0, 0] });
    }
    let isMoving = false;
    for (const [position, shown] of this.#shown) {
      shown.leaving = !wanted.has(position);
      const shift = shown.leaving ? null : scene.shift(position);
      if (shift && nearer(shown, shift, step)) isMoving = true;
      const picture = scene.picture(position);
      if (!picture) {
        if (shown.leaving) this.#shown.delete(position);
        continue; // its sheet is on its way; the point stays in sight
      }
      shown.presence += shown.leaving ? -step : step;
      if (shown.presence <= 0) {
        this.#shown.delete(position);
        continue;
      }
      if (shown.presence < 1 || shown.leaving) isMoving = true;
      shown.presence = Math.min(1, shown.presence);
      const eased = 1 - (1 - shown.presence) ** 3;
      const at = this.at(scene, position);
      if (isCovered(at)) continue;
      const veil = scene.isDim(position) ? 0.28 : star ? 0.4 : 1;
      const size = scene.side * (0.25 + 0.75 * eased);
      brush.globalAlpha = Math.min(1, shown.presence * 1.6);
      if (veil < 1) this.#blank(brush, picture, ...at, size, scene.ground); // no point shines through
      brush.globalAlpha *= veil;
      this.#picture(brush, picture, ...at, size, cssColour(scene.colour(position)));
    }
    brush.globalAlpha = 1;
    return isMoving;
  }

  #blank(brush: CanvasRenderingContext2D, { width, height }: Picture, across: number, down: number, size: number, ground: string): void {
    const scale = size / Math.max(width, height);
    brush.fillStyle = ground;
    brush.fillRect(across - (width * scale) / 2, down - (height * scale) / 2, width * scale, height * scale);
  }

  #picture(
    brush: CanvasRenderingContext2D, picture: Picture, across: number, down: number, size: number, frame: string,
    rim = size < 34 ? 2 : RIM,
  ): void {
    const scale = size / Math.max(picture.width, picture.height);
    const width = Math.round(picture.width * scale);
    const height = Math.round(picture.height * scale);
    const left = Math.round(across - width / 2);
    const top = Math.round(down - height / 2);
    // straight corners: where the processor draws, a round one costs ten times as much, which the map has no time for
    brush.strokeStyle = frame;
    brush.lineWidth = rim;
    brush.strokeRect(left - rim / 2, top - rim / 2, width + rim, height + rim);
    // small pictures stay crisp: their pixels are what the model saw
    brush.imageSmoothingEnabled = scale < 1.4 || picture.width > CRISP;
    brush.imageSmoothingQuality = scale < 1 ? "medium" : "low";
    brush.drawImage(picture.source, picture.x, picture.y, picture.width, picture.height, left, top, width, height);
  }

  /** Lay a star out: its neighbours as pictures where they have room, else as dots. */
  #arrange(scene: OverlayScene, star: Star): Arranged {
    const at = star.position === null ? scene.view.toScreen(...star.place) : this.at(scene, star.position);
    const size = Math.max(34, scene.side);
    const arranged: Arranged = { star, at, size, pictures: [], dots: [] };
    for (const position of star.neighbors.slice(0, MOST_LINES)) {
      const place = this.at(scene, position);
      const picture = scene.picture(position);
      const apart = (there: [number, number], room: number): boolean =>
        Math.abs(there[0] - place[0]) > room || Math.abs(there[1] - place[1]) > room;
      const hasRoom = apart(at, (size * (1 + LARGER)) / 2 + 6) && arranged.pictures.every((other) => apart(other.at, size + 6));
      if (picture && hasRoom) arranged.pictures.push({ position, at: place, picture });
      else arranged.dots.push({ position, at: place, picture });
    }
    return arranged;
  }

  #drawStar(brush: CanvasRenderingContext2D, scene: OverlayScene, { star, at, size, pictures, dots }: Arranged): void {
    brush.lineCap = "round";
    for (const [width, colour, alpha] of [[4.5, scene.ground, 0.75], [1.75, scene.accent, 0.85]] as const) {
      brush.lineWidth = width;
      brush.strokeStyle = colour;
      brush.globalAlpha = alpha;
      brush.beginPath();
      for (const end of [...pictures, ...dots]) {
        brush.moveTo(...at);
        brush.lineTo(...end.at);
      }
      brush.stroke();
    }
    brush.globalAlpha = 1;
    for (const { at: place } of dots) this.#dot(brush, scene, ...place);
    for (const { position, at: place, picture } of pictures) {
      if (picture) this.#picture(brush, picture, ...place, size, cssColour(scene.colour(position)), 3);
    }
    const own = star.position === null ? null : scene.picture(star.position);
    if (own) this.#picture(brush, own, ...at, size * LARGER, scene.accent, 3.5);
    else if (star.picture) this.#outside(brush, star.picture, ...at, size * LARGER, scene);
    else this.#dot(brush, scene, ...at);
  }

  /** An image from outside keeps its shape. */
  #outside(brush: CanvasRenderingContext2D, picture: CanvasImageSource, x: number, y: number, size: number, scene: OverlayScene): void {
    const isImage = picture instanceof HTMLImageElement;
    const width = isImage ? picture.naturalWidth : size;
    const height = isImage ? picture.naturalHeight : size;
    const scale = size / Math.max(width, height, 1);
    const [w, h] = [width * scale, height * scale];
    brush.fillStyle = scene.accent;
    brush.beginPath();
    brush.roundRect(x - w / 2 - 4, y - h / 2 - 4, w + 8, h + 8, 6);
    brush.fill();
    brush.imageSmoothingEnabled = true;
    brush.drawImage(picture, x - w / 2, y - h / 2, w, h);
  }

  /** Names fade as one comes closer. They stand beside thumbnails, and the less important ones give way. */
  #drawNames(brush: CanvasRenderingContext2D, scene: OverlayScene, isAtRest: boolean): void {
    const alpha = Math.min(1, Math.max(0, 1 - Math.log2(scene.closer / FADING) / 1.5));
    if (alpha === 0) return;
    brush.font = `600 13px ${this.#font}`;
    brush.textAlign = "center";
    brush.textBaseline = "middle";
    const taken = [...scene.above, ...this.#boxes(scene)];
    for (const { text, place, names } of scene.names) {
      const [middle, top] = scene.view.toScreen(...place);
      if (middle < 0 || middle > scene.view.width) continue;
      const half = brush.measureText(text).width / 2 + 6;
      const shift = freeBeside([middle, top], [half, NAME_HEIGHT / 2], taken, scene.view, { names, before: this.#beside.get(text), isAtRest });
      if (!shift) {
        if (isAtRest) this.#beside.delete(text); // else it would come back there with the next movement
        continue;
      }
      this.#beside.set(text, shift);
      const [x, y] = [middle + shift[0], top + shift[1]];
      taken.push({ x, y, wide: half + 2, high: NAME_HEIGHT / 2 + 1 });
      brush.globalAlpha = 0.85 * alpha;
      brush.fillStyle = scene.ground;
      brush.fillRect(x - half, y - NAME_HEIGHT / 2, 2 * half, NAME_HEIGHT);
      brush.globalAlpha = alpha;
      brush.fillStyle = scene.accent;
      brush.fillText(text, x, y + 0.5);
    }
    brush.globalAlpha = 1;
  }

  /** What thumbnails take of the canvas. */
  #boxes(scene: OverlayScene): Box[] {
    const boxes: Box[] = [];
    for (const [position, { leaving }] of this.#shown) {
      const picture = leaving ? null : scene.picture(position);
      if (!picture) continue;
      const [x, y] = this.at(scene, position);
      const half = scene.side / 2 / Math.max(picture.width, picture.height);
      boxes.push({ x, y, wide: half * picture.width + RIM, high: half * picture.height + RIM, position });
    }
    return boxes;
  }

  #dot(brush: CanvasRenderingContext2D, scene: OverlayScene, x: number, y: number): void {
    brush.beginPath();
    brush.arc(x, y, 4.5, 0, 2 * Math.PI);
    brush.fillStyle = scene.accent;
    brush.fill();
    brush.lineWidth = 2;
    brush.strokeStyle = scene.ground;
    brush.stroke();
  }

  #ring(brush: CanvasRenderingContext2D, scene: OverlayScene, position: number): void {
    const [x, y] = this.at(scene, position);
    const hasPicture = this.#shown.has(position) && scene.picture(position) !== null;
    const radius = hasPicture ? scene.side / 2 + 3 : 8;
    for (const [width, colour] of [[4.5, scene.ground], [2, scene.accent]] as const) {
      brush.lineWidth = width;
      brush.strokeStyle = colour;
      brush.beginPath();
      if (hasPicture) brush.roundRect(x - radius, y - radius, 2 * radius, 2 * radius, 4);
      else brush.arc(x, y, radius, 0, 2 * Math.PI);
      brush.stroke();
    }
  }

  #lasso(brush: CanvasRenderingContext2D, scene: OverlayScene): void {
    brush.beginPath();
    scene.lasso.forEach(([x, y]) => brush.lineTo(x, y));
    brush.closePath();
    brush.globalAlpha = 0.1;
    brush.fillStyle = scene.accent;
    brush.fill("evenodd");
    brush.globalAlpha = 1;
    brush.lineWidth = 1.75;
    brush.setLineDash([6, 4]);
    brush.strokeStyle = scene.accent;
    brush.stroke();
    brush.setLineDash([]);
  }
}

/** Move a thumbnail by this share of its way to where it stands; false if it was there. */
function nearer(shown: Shown, [across, up]: readonly [number, number], share: number): boolean {
  const [wasAcross, wasUp] = shown.shift;
  if (Math.abs(across - wasAcross) + Math.abs(up - wasUp) < 0.01) {
    shown.shift = [across, up];
    return false;
  }
  shown.shift = [wasAcross + (across - wasAcross) * share, wasUp + (up - wasUp) * share];
  return true;
}
