import { expect, it } from "vitest";
import { restOf, STOPS } from "../src/app/sheet";

it("rests at the nearest stop, and closes far below the lowest", () => {
  STOPS.forEach((stop, place) => expect(restOf(stop, 0)).toBe(place));
  expect(restOf(0.4, 0)).toBe(1);
  expect(restOf(0.75, 0)).toBe(2);
  expect(restOf(0.18, 0)).toBe(0);
  expect(restOf(0.1, 0)).toBeNull();
});

it("goes on to the next stop when it is flicked", () => {
  expect(restOf(0.3, 2)).toBe(1);
  expect(restOf(0.6, 2)).toBe(2);
  expect(restOf(0.93, 2)).toBe(2);
  expect(restOf(0.8, -2)).toBe(1);
  expect(restOf(0.3, -2)).toBe(0);
  expect(restOf(0.2, -2)).toBeNull();
  expect(restOf(0.3, 0.1)).toBe(0); // slowly: the nearest
});
