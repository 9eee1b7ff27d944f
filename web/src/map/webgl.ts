import { batches, type Look, type PointLayer } from "./layer";
import type { View } from "./view";

const VERTEX = `#version 300 es
in vec2 before;
in vec2 place;
in vec4 colour;
uniform float progress;
uniform vec2 middle;
uniform vec2 scale;
uniform bool turned;
uniform mediump float size;
uniform float alpha;
out vec4 ink;
void main() {
  vec2 away = mix(before, place, progress) - middle;
  gl_Position = vec4((turned ? vec2(away.y, -away.x) : away) * scale, 0.0, 1.0);
  gl_PointSize = size;
  ink = vec4(colour.rgb * alpha, alpha);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 ink;
uniform mediump float size;
out vec4 pixel;
void main() {
  float away = length(gl_PointCoord - 0.5) * size;
  float cover = size < 2.5 ? 1.0 : clamp(size * 0.5 - away + 0.5, 0.0, 1.0);
  pixel = ink * cover;
}`;

/** Points drawn by WebGL 2: one buffer each for places, places before, colours and order. */
export class WebGLLayer implements PointLayer {
  readonly #gl: WebGL2RenderingContext;
  readonly #program: WebGLProgram;
  readonly #uniforms: Record<"progress" | "middle" | "scale" | "turned" | "size" | "alpha", WebGLUniformLocation | null>;
  readonly #buffers: Record<"before" | "place" | "colour" | "order", WebGLBuffer>;
  #look: Look | null = null;
  #count = 0;
  #ratio = 1;

  /** Throws where there is no WebGL 2. */
  constructor(readonly canvas: HTMLCanvasElement) {
    // opaque: where the processor draws, to lay a transparent canvas over the page costs a fifth of a frame
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("no WebGL 2");
    this.#gl = gl;
    this.#program = link(gl);
    const uniform = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(this.#program, name);
    this.#uniforms = {
      progress: uniform("progress"), middle: uniform("middle"), scale: uniform("scale"), turned: uniform("turned"),
      size: uniform("size"), alpha: uniform("alpha"),
    };
    this.#buffers = { before: gl.createBuffer(), place: gl.createBuffer(), colour: gl.createBuffer(), order: gl.createBuffer() };
    gl.useProgram(this.#program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.#buffers.order);
    canvas.style.visibility = "hidden"; // it is black until something is drawn
  }

  setPoints(points: Float32Array, before: Float32Array | null): void {
    this.#count = points.length / 2;
    this.#fill("place", points);
    this.#read("place", this.#buffers.place, 2, this.#gl.FLOAT, false);
    if (before) this.#fill("before", before);
    this.#read("before", before ? this.#buffers.before : this.#buffers.place, 2, this.#gl.FLOAT, false);
  }

  setLook(look: Look): void {
    const gl = this.#gl;
    if (look.colours !== this.#look?.colours) {
      this.#fill("colour", look.colours);
      this.#read("colour", this.#buffers.colour, 4, gl.UNSIGNED_BYTE, true);
    }
    if (look.ground !== this.#look?.ground) {
      const ground = Number.parseInt(look.ground.slice(1), 16);
      gl.clearColor((ground >> 16) / 255, ((ground >> 8) & 255) / 255, (ground & 255) / 255, 1);
    }
    if (look.order !== this.#look?.order) gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, look.order, gl.DYNAMIC_DRAW);
    this.#look = look;
  }

  draw(view: View, progress: number, most: number): void {
    const gl = this.#gl;
    if (!this.#look || gl.isContextLost()) return;
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.canvas.style.visibility = "";
    if (this.#look.colours.length !== this.#count) return;
    gl.uniform1f(this.#uniforms.progress, progress);
    gl.uniform2f(this.#uniforms.middle, view.camera.x, view.camera.y);
    gl.uniform2f(this.#uniforms.scale, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
    gl.uniform1i(this.#uniforms.turned, Number(view.turned));
    for (const { start, count, alpha, size } of batches(this.#look, view, most)) {
      gl.uniform1f(this.#uniforms.size, size * this.#ratio);
      gl.uniform1f(this.#uniforms.alpha, alpha);
      gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, start * 4);
    }
  }

  resize(width: number, height: number): void {
    // finer than the screen's pixels gains nothing that one sees, and a software renderer pays for every pixel
    this.#ratio = this.#count > 200_000 ? 1 : Math.min(2, window.devicePixelRatio);
    this.canvas.width = Math.max(1, Math.round(width * this.#ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.#ratio));
    this.#gl.viewport(0, 0, this.canvas.width, this.canvas.height);
  }

  destroy(): void {
    for (const buffer of Object.values(this.#buffers)) this.#gl.deleteBuffer(buffer);
    this.#gl.deleteProgram(this.#program);
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #fill(name: "before" | "place" | "colour", data: Float32Array | Uint32Array): void {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  }

  #read(attribute: string, buffer: WebGLBuffer, size: number, type: number, normalized: boolean): void {
    const gl = this.#gl;
    const location = gl.getAttribLocation(this.#program, attribute);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, type, normalized, 0, 0);
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("no WebGL shader");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("WebGL does not draw points");
  return program;
}
