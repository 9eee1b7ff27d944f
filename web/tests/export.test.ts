import { describe, expect, it } from "vitest";
import shared from "../../tests/data/export.json";
import { csvText, fourDigits, listText, type Cell } from "../src/lib/export";

describe("files that a report writes", () => {
  it("are tables as the server writes them, formulas and all", () => {
    expect(csvText(shared.columns, shared.rows as Cell[][])).toBe(shared.text.join("\r\n"));
  });

  it("hold numbers as the server writes them", () => {
    const pairs = shared.digits as [number, string][];
    expect(pairs.map(([value]) => fourDigits(value))).toEqual(pairs.map(([, text]) => text));
    expect(fourDigits(Number.NaN)).toBe("nan");
  });

  it("are lists with one name per line", () => {
    expect(listText(["a/1.png", "two\nlines\r"])).toBe("a/1.png\ntwo\\nlines\\r\n");
  });
});
