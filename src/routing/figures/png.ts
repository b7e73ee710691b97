/** Pictures as PNG, drawn the same on every machine: by resvg, with letters of its own. */
import { readFileSync } from "node:fs";
import latin from "@fontsource/noto-sans/files/noto-sans-latin-400-normal.woff2" with { type: "file" };
import latinExtended from "@fontsource/noto-sans/files/noto-sans-latin-ext-400-normal.woff2" with { type: "file" };
import { initWasm, Resvg } from "@resvg/resvg-wasm";
import engine from "@resvg/resvg-wasm/index_bg.wasm" with { type: "file" };

let ready: Promise<Uint8Array[]> | undefined;

async function load(): Promise<Uint8Array[]> {
  await initWasm(readFileSync(engine));
  return [latin, latinExtended].map((path) => new Uint8Array(readFileSync(path)));
}

/** @param zoom pixels of the PNG for one of the SVG */
export async function png(svg: string, zoom = 2): Promise<Uint8Array> {
  ready ??= load();
  const fontBuffers = await ready;
  const drawing = new Resvg(svg, {
    font: { fontBuffers, defaultFontFamily: "Noto Sans", sansSerifFamily: "Noto Sans" },
    fitTo: { mode: "zoom", value: zoom },
  });
  try {
    const image = drawing.render();
    const bytes = image.asPng();
    image.free();
    return bytes;
  } finally {
    drawing.free();
  }
}
