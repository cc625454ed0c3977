/** The public surface as text: what the entry files export, compared with `surface.txt`, so that nothing becomes public by accident and nothing public goes away unseen. */
import { describe, expect, test } from "bun:test";
import { filesBelow } from "../shim/files.ts";
import { exportsOf } from "./exports.ts";

const [manifest, deno, surface] = [textOf("package.json"), textOf("deno.json"), textOf("tests/types/surface.txt")];
const entries = (JSON.parse(manifest) as { readonly exports: Readonly<Record<string, string>> }).exports;

function textOf(path: string): string {
  return filesBelow([path], [path])[0]?.text ?? "";
}

function sourceEntries(): readonly (readonly [name: string, path: string])[] {
  return Object.entries(entries).filter(([, path]) => path.endsWith(".ts")).map(([name, path]) => [name.replace(/^\./, "millrace"), path.replace(/^\.\//, "")]);
}

describe("public surface", () => {
  test("the entry files export what surface.txt lists, and no more", () => {
    const now = sourceEntries().flatMap(([name, path]) => [name, ...exportsOf(textOf(path)).map((line) => `  ${line}`)]);

    expect(now).toEqual(surface.trimEnd().split("\n"));
  });

  test("what is read off the text of an entry file is what it has at run time", async () => {
    const values = (path: string): readonly string[] => exportsOf(textOf(path)).filter((line) => line.startsWith("value ")).map((line) => line.slice("value ".length));

    expect(Object.keys(await import("../../mod.ts")).sort()).toEqual([...values("mod.ts")]);
    expect(Object.keys(await import("../../src/testing/testing.ts")).sort()).toEqual([...values("src/testing/testing.ts")]);
  });

  test("npm and JSR have the same entries", () => {
    const { "./package.json": _, ...ofNpm } = entries;

    expect((JSON.parse(deno) as { readonly exports: unknown }).exports).toEqual(ofNpm);
  });

  test("exportsOf() finds every kind of export, and refuses what hides names", () => {
    const text = `
      export { b, type A, c as d } from "./a.ts";
      export type {
        C,
        E as F,
      } from "./b.ts";
      export const x: number = 1;
      export async function y(): Promise<void> {}
      export abstract class Z {}
      export interface I {}
      export type T<V> = V;
      // export const hidden = 1;
    `;

    expect(exportsOf(text)).toEqual(["type A", "type C", "type F", "type I", "type T", "value Z", "value b", "value d", "value x", "value y"]);
    expect(() => exportsOf('export * from "./a.ts";')).toThrow("export *");
    expect(() => exportsOf("export default 1;")).toThrow("export default");
  });
});
