import type { Camera } from "../lib/address";
import { accentColour, type Ground, type PointColours } from "./colours";
import { followGestures, type Effect, type Tool } from "./gestures";
import { PointGrid } from "./grid";
import { Pace, SteadyLayer, type Look, type PointLayer } from "./layer";
import { fit, isBetterTurned, isClear, type Obstacle } from "./fit";
import type { MapName } from "./names";
import { Nearby } from "./nearby";
import { Overlay, type OverlayScene, type Picture, type Star } from "./overlay";
import { PlainLayer } from "./plain";
import { LEAST_SIDE, overviewOf, roomOf, SPACING, thumbnailSide } from "./size";
import { coprimeStep, Thinning, thinningOrder } from "./thinning";
import { turn, turnBack, View } from "./view";
import { WebGLLayer } from "./webgl";

/** What a map tells the page. */
export interface StageEvents {
  hover(position: number | null): void;
  /** An image was clicked, or the ground (null). */
  press(position: number | null): void;
  /** An area was drawn. */
  lasso(polygon: number[], effect: Effect): void;
  /** Where the map is looked at now, and whether no image is in view there. */
  camera(camera: Camera | null, isEmpty: boolean): void;
  /** A person moves the map. */
  move(): void;
  tool(): Tool;
}

const MOVING = 900;
const FLYING = 700;
/** Pixels within which a point is meant. */
const REACH = 9;
const [CONTEXT, ORDINARY, CHOSEN, ABSENT] = [0, 1, 2, 3] as const;
/** Milliseconds a frame may spend on finding room for thumbnails. */
const THINNING = 24;
/** Milliseconds after the last change when the map, a filter or the size is at rest: all points, and room for thumbnails, come then. */
const RESTING = 160;

/** One map: its points, the thumbnails above them, its camera. Draws when something changed, never otherwise. */
export class Stage {
  readonly hasWebGL: boolean;
  #layer: PointLayer;
  readonly #overlay: Overlay;
  readonly #stopGestures: () => void;
  readonly #stopWatching: () => void;
  readonly #pace = new Pace();
  #width = 1;
  #height = 1;
  #obstacles: readonly Obstacle[] = [];
  #turned = false;
  /** Side of thumbnails where all is in view, and the distance on the map that most images have to themselves. */
  #sizes: { overview: number; room: number } | null = null;
  #larger = 1;
  #isHiding = false;
  #isUpright = false;
  #names: readonly MapName[] = [];
  #points: Float32Array = new Float32Array();
  #before: Float32Array | null = null;
  /** Whether some images have no place. */
  #isPartial = false;
  #movingSince = 0;
  #grid: PointGrid | null = null;
  /** Images that may have a thumbnail, the most important first. */
  #candidates: Uint32Array | null = null;
  #thinning: Thinning | null = null;
  #colours: PointColours = { colours: new Uint32Array(), hidden: new Uint8Array() };
  #chosen: Set<number> | null = null;
  #perSheet = 1;
  #home: Camera = { x: 0, y: 0, zoom: 0.9 };
  #camera: Camera | null = null;
  #flight: { from: Camera; to: Camera; since: number; land: Camera | null } | null = null;
  #flightTime = FLYING;
  #look: Look | null = null;
  /** In which group of the look each image is. */
  #groups: Uint8Array = new Uint8Array();
  #nearby: Nearby | null = null;
  #drawnLook: Look | null = null;
  #hovered: number | null = null;
  #star: Star | null = null;
  #lasso: [number, number][] = [];
  #ground: Ground = "light";
  #groundColour = "#fff";
  #thumbnails: number[] = [];
  #frame = 0;
  /** The map or the filter has changed since the last frame. */
  #isStirred = false;
  #restFrame = 0;
  #restTimer = 0;
  #sizeTimer = 0;
  #isFiltering = false;
  #hurry = false;

  constructor(
    element: HTMLElement, pointCanvas: HTMLCanvasElement, overlayCanvas: HTMLCanvasElement,
    readonly events: StageEvents, readonly picture: (position: number) => Picture | null,
  ) {
    let layer: PointLayer;
    try {
      layer = new WebGLLayer(pointCanvas);
    } catch {
      const fresh = pointCanvas.cloneNode() as HTMLCanvasElement; // the old one may be bound to WebGL
      pointCanvas.replaceWith(fresh);
      layer = new PlainLayer(fresh);
    }
    this.hasWebGL = layer instanceof WebGLLayer;
    this.#layer = new SteadyLayer(layer);
    this.#stopWatching = layer instanceof WebGLLayer ? this.#watchContext(layer.canvas) : () => undefined;
    this.#overlay = new Overlay(overlayCanvas, font(element));
    this.#stopGestures = followGestures(element, {
      view: () => this.view,
      tool: () => events.tool(),
      look: (camera) => this.look(camera),
      point: (at) => events.hover(at && this.#under(at)),
      press: (at) => events.press(this.#under(at)),
      lasso: (corners, done, effect) => this.#drawLasso(corners, done, effect),
    });
  }

  /** A graphics card may take the context away, when its driver restarts or memory is short: draw anew once it is back. */
  #watchContext(canvas: HTMLCanvasElement): () => void {
    const lost = (event: Event): void => {
      event.preventDefault(); // else it never comes back
      canvas.style.visibility = "hidden"; // what is left of it may be black
    };
    const restored = (): void => {
      try {
        this.#layer = new SteadyLayer(new WebGLLayer(canvas));
      } catch {
        return; // it was lost again
      }
      this.#layer.setPoints(this.#points, this.#before);
      this.#drawnLook = null;
      this.#layer.resize(this.#width, this.#height);
      this.#ask();
    };
    canvas.addEventListener("webglcontextlost", lost);
    canvas.addEventListener("webglcontextrestored", restored);
    return () => {
      canvas.removeEventListener("webglcontextlost", lost);
      canvas.removeEventListener("webglcontextrestored", restored);
    };
  }

  get view(): View {
    // where one image has the canvas to itself, all that lies further in is empty
    const mostZoom = this.#home.zoom * Math.max(8, 1.5 * Math.sqrt(this.#points.length / 2));
    return new View(this.#width, this.#height, this.#camera ?? this.#home, this.#turned, mostZoom);
  }

  /** `obstacles`: what stands above the map and would hide images. Tells whether images stand elsewhere now. */
  resize(width: number, height: number, obstacles: readonly Obstacle[]): boolean {
    const isFirst = this.#width === 1;
    const before = this.view;
    const corner = before.toMap(0, 0);
    const isHome = this.#camera === null && this.#flight === null;
    const isSameSize = width === this.#width && height === this.#height;
    this.#width = Math.max(1, width);
    this.#height = Math.max(1, height);
    this.#obstacles = obstacles;
    this.#ask(); // names give way
    if (isSameSize) {
      if (isClear(this.#points, new View(width, height, this.#home, this.#turned), obstacles)) return false;
    } else {
      this.#layer.resize(width, height);
      this.#overlay.resize(width, height);
    }
    const home = this.#home;
    this.#fit(isHome ? this.#way() : this.#turned);
    if (isSameSize && before.turned === this.#turned && sameCamera(home, this.#home)) return false;
    this.#packLater();
    if (before.turned !== this.#turned) this.#ask(); // no way leads from the one to the other
    else if (!isFirst && this.#points.length > 0) this.#settle(before, corner);
    this.#draw(); // at once: a canvas that was resized is empty
    return !isSameSize || before.turned !== this.#turned || this.#flight !== null;
  }

  /** While the size changes thumbnails stay as they are: those that have room are chosen once it rests. */
  #packLater(): void {
    if (!this.#sizes) return;
    window.clearTimeout(this.#sizeTimer);
    this.#sizeTimer = window.setTimeout(() => {
      this.#sizes = null;
      this.#ask();
    }, RESTING);
  }

  /** After a resize: the top left corner stays where it was, then the map moves only as far as it has to. */
  #settle(before: View, [x, y]: [number, number]): void {
    const wasHome = this.#camera === null || this.#flight?.land === null;
    const zoom = (before.camera.zoom * Math.min(before.width, before.height)) / Math.min(this.#width, this.#height);
    const halfWidth = this.#width / 2 / before.scale;
    const halfHeight = this.#height / 2 / before.scale;
    const kept = { x: x + halfWidth, y: y - halfHeight, zoom };
    this.#camera = kept;
    const middle = this.#star?.position ?? null;
    if (wasHome) this.#fly(kept, this.#home, null, 350);
    else if (middle !== null && !this.#isInView(middle)) {
      const [left, bottom] = this.#place(middle);
      const target = { x: left, y: bottom, zoom };
      this.#fly(kept, target, target, 350);
    }
  }

  #isInView(position: number): boolean {
    const [left, top] = this.at(position);
    const margin = this.side;
    return left > margin && top > margin && left < this.#width - margin && top < this.#height - margin;
  }

  /** Whether the map has to be turned: by the window's shape, so that a panel that opens leaves it as it is. */
  #way(): boolean {
    return !this.#isUpright && isBetterTurned(this.#points, window.innerWidth, window.innerHeight);
  }

  /** Find out from where all of the map is seen. */
  #fit(turned = this.#way()): void {
    this.#home = fit(this.#points, this.#width, this.#height, this.#obstacles, { turned });
    this.#turned = turned;
  }

  /** Show these places; images move there from `before`, where each was. */
  setPoints(points: Float32Array, before: Float32Array | null): void {
    const start = this.view;
    this.#points = points;
    this.#fit();
    const isSameWay = start.turned === this.#turned;
    this.#before = before && (isSameWay ? before : turned(before, this.#turned));
    const isPartial = points.some(Number.isNaN);
    if (isPartial || this.#isPartial) this.#look = null; // other images are drawn
    this.#isPartial = isPartial;
    this.#movingSince = performance.now();
    this.#layer.setPoints(points, this.#before);
    this.#layer.resize(this.#width, this.#height);
    this.#grid = this.#nearby = null;
    this.#candidates = this.#thinning = null;
    this.#thumbnails = this.#thumbnails.filter((position) => this.has(position));
    if (!before) this.#overlay.forget();
    this.#camera = null;
    this.events.camera(null, false);
    const { x, y, zoom } = start.camera;
    const [left, bottom] = isSameWay ? [x, y] : turned(Float32Array.of(x, y), this.#turned);
    if (before) this.#fly({ x: left!, y: bottom!, zoom }, this.#home, null);
    this.#ask();
  }

  setColours(colours: PointColours, chosen: Uint32Array | null, ground: Ground, groundColour: string): void {
    const sameHidden = sameBytes(colours.hidden, this.#colours.hidden);
    const sameChosen = sameMembers(chosen, this.#chosen);
    this.#colours = colours;
    this.#ground = ground;
    this.#groundColour = groundColour;
    if (!sameHidden || !sameChosen || !this.#look) {
      if (!sameChosen) this.#chosen = chosen && new Set(chosen);
      if (!sameChosen || !this.#thinning) this.#thinAnew();
      else {
        this.#isFiltering = true;
        this.#stir();
      }
      this.#look = this.#order(colours, this.#chosen);
    }
    this.#look = { ...this.#look, colours: colours.colours, ground: groundColour };
    this.#ask();
  }

  #thinAnew(): void {
    this.#isFiltering = false;
    this.#candidates = this.#thinning = null;
    this.#sizes = null;
    this.#ask();
  }

  /** Whether the map may not be turned to fill its canvas. */
  setUpright(isUpright: boolean): void {
    if (isUpright === this.#isUpright) return;
    this.#isUpright = isUpright;
    if (this.#points.length === 0) return;
    const before = this.#turned;
    this.#fit();
    if (before !== this.#turned) {
      // no way leads from the one to the other
      this.#camera = this.#flight = this.#before = null;
      this.#layer.setPoints(this.#points, null);
      this.#sizes = null;
      this.events.camera(null, false);
      this.#ask();
    }
  }

  /** Whether the map holds an image. */
  has(position: number): boolean {
    return !Number.isNaN(this.#points[2 * position]);
  }

  /** Whether images that do not pass the filter are left out. */
  setHiding(isHiding: boolean): void {
    if (isHiding === this.#isHiding) return;
    this.#isHiding = isHiding;
    if (!this.#look) return;
    this.#look = { ...this.#look, isHiding };
    this.#ask();
  }

  /** `perSheet`: thumbnails in one sheet; those of the first sheets come first in an overview. */
  setSheets(perSheet: number): void {
    if (this.#perSheet === Math.max(1, perSheet)) return;
    this.#perSheet = Math.max(1, perSheet);
    this.#candidates = this.#thinning = null;
    this.#ask();
  }

  /** Words on the map, the most important first. */
  setNames(names: readonly MapName[]): void {
    this.#names = names;
    this.#ask();
  }

  /** `larger`: how much larger thumbnails are than there is room for; 1 for just that. */
  setLarger(larger: number): void {
    this.#larger = larger;
    this.#ask();
  }

  setStar(star: Star | null): void {
    const isHere = star && (star.position === null || this.has(star.position));
    this.#star = isHere ? { ...star, neighbors: star.neighbors.filter((each) => this.has(each)) } : null;
    this.#ask();
  }

  setHovered(position: number | null): void {
    const hovered = position !== null && this.has(position) ? position : null;
    if (hovered === this.#hovered) return;
    this.#hovered = hovered;
    this.#ask();
  }

  /** A thumbnail sheet has come. */
  refresh(): void {
    this.#ask();
  }

  look(camera: Camera): void {
    this.events.move();
    this.#camera = camera;
    this.#flight = null;
    this.#hurry = true;
    this.#stir();
    this.#ask();
  }

  /** A change that others may follow: it is drawn in a hurry, and in full once none follows. */
  #stir(): void {
    this.#isStirred = true;
    cancelAnimationFrame(this.#restFrame);
    window.clearTimeout(this.#restTimer);
  }

  /**
   * Rest a while after the frame that has just been drawn. The browser asks for another frame once that one is on the screen:
   * counted from there, a slow machine doesn't draw in full between two steps of a movement, which would make it slower still.
   */
  #restLater(): void {
    this.#isStirred = false;
    this.#restFrame = requestAnimationFrame(() => {
      this.#restTimer = window.setTimeout(() => { this.#rest(); }, RESTING);
    });
  }

  #rest(): void {
    if (this.#hurry) {
      this.#hurry = false;
      this.events.camera(this.#camera, this.#isEmpty());
    }
    if (this.#isFiltering) this.#thinAnew();
    this.#ask();
  }

  /** Fly to a camera, to images, or (null) to all of the map. */
  flyTo(to: Camera | Uint32Array | null): void {
    if (to instanceof Uint32Array) {
      to = to.filter((position) => this.has(position));
      if (to.length === 0) return;
      const around = { turned: this.#turned, chosen: to, mostZoom: this.#home.zoom * 9 };
      const camera = fit(this.#points, this.#width, this.#height, this.#obstacles, around);
      this.#fly(this.view.camera, camera, camera);
    } else this.#fly(this.view.camera, to ?? this.#home, to);
  }

  /** Where an image is on the canvas, in pixels. */
  at(position: number): [number, number] {
    return this.#overlay.at(this.#scene(), position);
  }

  /** Side of a thumbnail in pixels. */
  get side(): number {
    const { camera, scale } = this.view;
    const { overview, room } = this.#sizes ?? { overview: LEAST_SIDE, room: 0 };
    return thumbnailSide(overview, room, scale, camera.zoom / this.#home.zoom) * this.#larger;
  }

  zoomBy(factor: number): void {
    this.events.move();
    const camera = this.view.zoomed(factor);
    this.#fly(this.view.camera, camera, camera, 220);
  }

  panBy(across: number, down: number): void {
    this.look(this.view.moved(across, down));
  }

  destroy(): void {
    this.#stopGestures();
    this.#stopWatching(); // the layer gives its context back, which would look like a loss
    cancelAnimationFrame(this.#frame);
    cancelAnimationFrame(this.#restFrame);
    window.clearTimeout(this.#restTimer);
    window.clearTimeout(this.#sizeTimer);
    this.#layer.destroy();
  }

  #fly(from: Camera, to: Camera, land: Camera | null, milliseconds = FLYING): void {
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#flight = { from, to, land, since: performance.now() + (still ? -2 : 0) * milliseconds };
    this.#flightTime = milliseconds;
    this.#ask();
  }

  #order({ hidden }: PointColours, chosen: Set<number> | null): Look {
    const count = hidden.length;
    const step = coprimeStep(count);
    const groups = new Uint8Array(count);
    const counts = [0, 0, 0] as [number, number, number];
    for (let p = 0; p < count; p++) {
      if (!this.has(p)) {
        groups[p] = ABSENT;
        continue;
      }
      const group = chosen?.has(p) ? CHOSEN : hidden[p]! === 1 ? CONTEXT : ORDINARY;
      groups[p] = group;
      counts[group]++;
    }
    const present = counts[CONTEXT] + counts[ORDINARY] + counts[CHOSEN];
    const order = new Uint32Array(present);
    const next = [0, counts[CONTEXT], present - counts[CHOSEN]];
    for (let i = 0, p = 0; i < count; i++, p = (p + step) % count) if (groups[p] !== ABSENT) order[next[groups[p]!]!++] = p;
    this.#groups = groups;
    this.#nearby = null;
    const [contextCount, , chosenCount] = counts;
    return { colours: this.#colours.colours, ground: this.#groundColour, order, contextCount, chosenCount, total: present, isHiding: this.#isHiding };
  }

  #place(position: number): [number, number] {
    const x = this.#points[2 * position] ?? 0;
    const y = this.#points[2 * position + 1] ?? 0;
    if (!this.#before) return [x, y];
    const t = this.#progress(performance.now());
    return [this.#before[2 * position]! * (1 - t) + x * t, this.#before[2 * position + 1]! * (1 - t) + y * t];
  }

  #progress(now: number): number {
    return this.#before ? ease((now - this.#movingSince) / MOVING) : 1;
  }

  #ask(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const began = performance.now();
      // what is drawn after the call has returned is told by the time of the next frame
      if (this.#draw()) requestAnimationFrame(() => { this.#pace.beat(began, performance.now()); });
    });
  }

  /** Whether images move by themselves, or the map flies. */
  get #isMoving(): boolean {
    return this.#before !== null || this.#flight !== null;
  }

  /** Whether a frame is one of many: of a movement, or of a filter that is being drawn. */
  get #isInHurry(): boolean {
    return this.#isMoving || this.#hurry || this.#isFiltering;
  }

  /** Draw one frame; true if it belongs to a movement. */
  #draw(): boolean {
    const now = performance.now();
    if (this.#before && now - this.#movingSince >= MOVING) {
      this.#before = null;
      this.#layer.setPoints(this.#points, null);
    }
    this.#advance(now);
    const isReady = this.#chooseThumbnails();
    const inHurry = this.#isInHurry;
    this.#chooseLook();
    this.#layer.draw(this.view, this.#progress(now), inHurry ? this.#pace.most : Infinity);
    const isComing = this.#overlay.draw(this.#scene(), now);
    if (this.#isStirred) this.#restLater();
    if (this.#isMoving || isComing || !isReady) this.#ask();
    return inHurry;
  }

  /** Give the layer what is to be drawn from here; while images move, all of them are. */
  #chooseLook(): void {
    if (!this.#look) return;
    if (this.#grid) this.#nearby ??= new Nearby(this.#grid, this.#groups);
    const look = this.#before || !this.#nearby ? this.#look : this.#nearby.of(this.#look, this.view);
    if (look === this.#drawnLook) return;
    this.#layer.setLook(look);
    this.#drawnLook = look;
  }

  #advance(now: number): void {
    const { to, land } = this.#flight ?? {};
    if (!this.#flight || !to) return;
    const t = ease((now - this.#flight.since) / this.#flightTime);
    if (t < 1) {
      this.#camera = between(this.#flight.from, to, t);
      return;
    }
    this.#camera = land ?? null;
    this.#flight = null;
    this.events.camera(this.#camera, this.#isEmpty());
  }

  #isEmpty(): boolean {
    if (this.#points.length === 0) return false;
    let isEmpty = true;
    this.#grid ??= new PointGrid(this.#points);
    this.#grid.within(...this.view.bounds(), () => (isEmpty = false));
    return isEmpty;
  }

  /** The image nearest to the middle of the canvas. */
  middle(): number | null {
    const { x, y } = this.view.camera;
    const { hidden } = this.#colours;
    return this.#grid?.nearest(x, y, this.#width / this.view.scale, (p) => hidden[p] !== 1) ?? null;
  }

  /** Choose what has room; false if there was not time enough. */
  #chooseThumbnails(): boolean {
    if (this.#before || this.#points.length === 0 || !this.#look) return true; // while images move, those that are shown move along
    this.#grid ??= new PointGrid(this.#points);
    const { hidden } = this.#colours;
    if (!this.#thinning || !this.#sizes) {
      const allow = (position: number): boolean => hidden[position] !== 1 && this.has(position);
      this.#candidates ??= thinningOrder(this.#points, this.#perSheet, allow, this.#chosen ?? undefined);
      const [width, height] = [this.#width, this.#height];
      const found = overviewOf(this.#points, this.#candidates, new View(width, height, this.#home).scale, width * height);
      this.#thinning = found.thinning;
      this.#sizes = { overview: found.side, room: roomOf(this.#points, this.#grid, allow) };
    }
    const { view, side } = this;
    const level = Thinning.levelFor((side * SPACING) / view.scale);
    const ready = this.#thinning.prepare(level, THINNING);
    const [left, bottom, right, top] = view.bounds(side);
    const { shown } = this.#thinning;
    const count = this.#thinning.count(ready);
    this.#thumbnails = [];
    if (count < 4000) {
      for (let i = 0; i < count; i++) {
        const position = shown[i]!;
        const x = this.#points[2 * position]!;
        const y = this.#points[2 * position + 1]!;
        if (hidden[position] !== 1 && x >= left && x <= right && y >= bottom && y <= top) this.#thumbnails.push(position);
      }
    } else {
      const thinning = this.#thinning;
      this.#grid.within(left, bottom, right, top, (p) => {
        if (hidden[p] !== 1 && thinning.has(p, ready)) this.#thumbnails.push(p);
      });
    }
    return ready === level;
  }

  #scene(): OverlayScene {
    const { view, side } = this;
    const chosen = this.#chosen;
    return {
      view, side,
      place: (position) => this.#place(position),
      picture: this.picture,
      colour: (position) => this.#colours.colours[position] ?? 0,
      isDim: (position) => chosen !== null && !chosen.has(position),
      thumbnails: this.#thumbnails,
      shift: (position) => (this.#thinning ? turn(...this.#thinning.shift(position), this.#turned) : null),
      names: this.#before ? [] : this.#names,
      above: this.#obstacles.map(({ left, top, right, bottom }) => (
        { x: (left + right) / 2, y: (top + bottom) / 2, wide: (right - left) / 2, high: (bottom - top) / 2 })),
      closer: view.camera.zoom / this.#home.zoom,
      star: this.#star,
      hovered: this.#hovered,
      lasso: this.#lasso,
      accent: accentColour(this.#ground),
      ground: this.#groundColour,
      isAtRest: !this.#isInHurry,
      isFiltering: this.#isFiltering,
    };
  }

  #under([left, top]: [number, number]): number | null {
    const thumbnail = this.#overlay.hit(this.#scene(), left, top);
    if (thumbnail !== null || !this.#grid) return thumbnail;
    const { view } = this;
    const { hidden } = this.#colours;
    return this.#grid.nearest(...view.toMap(left, top), REACH / view.scale, (p) => hidden[p] !== 1);
  }

  #drawLasso(corners: [number, number][], done: boolean, effect: Effect): void {
    this.#lasso = done ? [] : [...corners];
    const { view } = this;
    if (done) this.events.lasso(corners.flatMap(([left, top]) => view.toMap(left, top)), effect);
    this.#ask();
  }
}

function ease(t: number): number {
  const clamped = Math.max(0, Math.min(1, t));
  return clamped < 0.5 ? 4 * clamped ** 3 : 1 - (-2 * clamped + 2) ** 3 / 2;
}

/** A camera on the way: the target stays where it is on the screen while the map is enlarged. */
function between(from: Camera, to: Camera, t: number): Camera {
  const zoom = from.zoom ** (1 - t) * to.zoom ** t;
  const isFlat = Math.abs(to.zoom - from.zoom) < 1e-3 * from.zoom;
  const share = isFlat ? t : (1 / zoom - 1 / from.zoom) / (1 / to.zoom - 1 / from.zoom);
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share, zoom };
}

function font(element: HTMLElement): string {
  return window.getComputedStyle(element).fontFamily;
}

/** Places as they have to be stored to stay where they are on the screen when the map is turned, or is no more. */
function turned(places: Float32Array, isTurned: boolean): Float32Array {
  const moved = new Float32Array(places.length);
  const way = isTurned ? turnBack : turn;
  for (let i = 0; i < places.length; i += 2) moved.set(way(places[i]!, places[i + 1]!, true), i);
  return moved;
}

function sameCamera(one: Camera, other: Camera): boolean {
  return one.x === other.x && one.y === other.y && one.zoom === other.zoom;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function sameMembers(chosen: Uint32Array | null, before: Set<number> | null): boolean {
  if (!chosen || !before) return !chosen && !before;
  return chosen.length === before.size && chosen.every((p) => before.has(p));
}
